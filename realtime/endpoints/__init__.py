"""Everything a client can reach over HTTP and WebSocket, a module for each subject."""
