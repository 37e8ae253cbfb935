"""What travels between master and minions: envelope, signatures, codec, messages, topics, sequence rules.

Pure: bytes in, values or refusals out. Nothing here opens a socket or a file, or knows what a load balancer is.
"""
