"""What a cluster, a director and a real server are: cluster file -> desired state -> plan.

Pure: functions of values to values. Nothing here opens a file or a socket, asks the kernel or knows of ZeroMQ.
"""
