"""What is wrong on this host although, or because, the minion runs: looks at the living host, and changes nothing.

One module per theme, each with its data, the parsing of what the kernel says, and the verdict: pure functions that
return symptoms. What reads (`arp_probe`, `sniff`, `ethtool`, `reading`) decides nothing. `examine` puts them together.
What differs from the released state comes from the same plan that heals it (`differences`).
"""
