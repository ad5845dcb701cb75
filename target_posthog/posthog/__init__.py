"""PostHog over HTTP: events sent, questions asked, answers judged. HTTP lives in this room and nowhere else."""
