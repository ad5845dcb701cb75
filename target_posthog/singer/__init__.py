"""Singer: messages read and checked, the run, and its settings handed to the SDK. It lives in this room alone."""
