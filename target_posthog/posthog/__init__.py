"""PostHog's API: events sent, questions asked, answers judged. HTTP lives here and nowhere else in the target."""
