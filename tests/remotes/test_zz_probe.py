from test_faults import *
from test_faults import s3_place, s3_desks, machine, impatient

def test_h(s3_place, s3_desks):
    me, you = s3_desks.owner(FILES), s3_desks.clone(FILES)
    me.run_cli("push")
    (key,) = s3_place.keys("index/")
    s3_place.write(key, flipped(s3_place.read(key), 1000))
    d = you.run_cli("pull", ".", code=None); print("H pull", d.returncode, d.stderr[-700:])
    d = me.run_cli("push", "--check", code=None); print("H push --check", d.returncode, d.stdout, d.stderr)
    d = you.run_cli("pull", ".", code=None); print("H pull again", d.returncode, len(errors(d.stderr)))
    print(s3_place.keys("index/"))

def test_a(s3_place, machine, monkeypatch):
    for method in ("POST", "DELETE"):
        s3_place.proxy.on(method).answer(403, "AccessDenied", times=None)
    mine = machine()
    for n in range(20):
        s3_place.proxy.requests.clear()
        mine.push(s3_place, [SMALL[n]])
        print("A", n+1, "index files", len(s3_place.keys("index/")), "requests", len(s3_place.proxy.requests))

def test_c(s3_place, machine, said):
    machine().push(s3_place, FILES.values())
    (key,) = s3_place.keys("packs/")
    s3_place.write(key, some(len(s3_place.read(key)), 8))
    you = machine(); s3_place.proxy.requests.clear()
    you.pull(s3_place, FILES.values())
    print("C", len(said), "warnings,", len(s3_place.proxy.asked("GET", PACK)), "pack requests for 10 objects")
