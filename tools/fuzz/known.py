"""Differences that are meant, each with its reason. A sequence ends where one is met: behind it the
systems are in different states."""
EFAULT = 14


def error_of(line):
    words = line.split()
    return int(words[2]) if len(words) > 2 and words[1] == "-1" else 0


def reason_for(steps, difference):
    """Why the systems may differ at this step, or None."""
    names = [name for _, name, _ in steps[:difference.step + 1]]
    if names[-1] == "mremap" and "mlock" in names and "fork" in names and \
            error_of(difference.linux) == EFAULT != error_of(difference.cowbell):
        return ("a child is not locked: Cowbell merges what only the lock kept apart (I9), Linux does "
                "not, and mremap refuses a range of two mappings")
    return None
