"""The story of the five VMs, played on any lab that can run commands on its hosts: micro-VMs or Vagrant's.

`steps` is the story, `hosts` what it does on hosts, `requests_client` what runs on the client, `outcome` what came of it.
"""
