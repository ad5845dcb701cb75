"""The reading of a stream: windows of time, by pages or by bulk operations, every record whole and emitted once."""
