"""The reading of a stream: takes windows of time, returns every record whole and once, by pages or bulk operations."""
