"""gc at a desk: many commands in one process, since starting Python takes longer than they do."""

import json
import time

SHORT = 0.05  # seconds


def commands(desk, *all_words, code=0, cwd=None):
    """Run commands of lazydata one after the other; what the last one printed."""
    if not hasattr(desk, "in_process"):
        desk.in_process = desk.tracker()
    said = ""
    for words in all_words:
        reply = desk.in_process.run(
            """
            import contextlib, io, os
            os.chdir(cwd)
            from lazydata.cli.running import run
            out = io.StringIO()
            with contextlib.redirect_stdout(out):
                value = run(words), out.getvalue()
            """,
            words=[str(word) for word in words],
            cwd=str(cwd or desk.root),
        )
        ended, said = reply.value
        assert ended == code, (words, said, reply.stderr)
    return said


def aged(desk, *args, code=0, env=None):
    """Run gc once all that is there is older than its grace period."""
    time.sleep(2 * SHORT)
    words = ("gc", "--grace", f"{SHORT}s", *args, "--json")
    if env or desk.user:
        return json.loads(desk.run_cli(*words, code=code, env=env, cwd=desk.base).stdout)
    return json.loads(commands(desk, words, code=code, cwd=desk.base))
