"""The threads and sockets of the media process: epoll shard, rings, locked memory."""
