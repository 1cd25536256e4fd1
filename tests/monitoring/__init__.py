"""Everything that both monitoring guides promise, tried with the real tools on the real server.

``guide.txt`` is the guide that operators have from the reference server, word for word; decisions 9.1 makes it
binding. Ours is ``docs/monitoring.md``. What is tried is taken out of these documents, so they cannot rot.
"""
