"""Users and rules: every word of SETUSER, what GETUSER makes of it, what it lets a user do, what is logged.

The user `default` stays as it is: other groups share the server. Every snippet makes its user anew and ends as the
default user, so a sequence stands on its own.
"""

from hypothesis import strategies as st

from conformance.arguments import Group, command, either, many, snippet

USER = b"u"
HASH = b"9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"

rule = st.sampled_from(
    """on off nopass resetpass reset allkeys resetkeys allchannels resetchannels allcommands nocommands clearselectors
    sanitize-payload skip-sanitize-payload ON NoPass ALLKEYS +@ALL -@all ~* &*
    ~a* ~b ~c:[0-9]* %R~a* %W~b %RW~c* %r~d %wr~e %RR~a %X~a %~a %R ~ &c* &d &c? & ~a~b
    +get +set +GET -get -set +mget +config +config|get -config|get +Config|SET -config +config|nosuch +config|
    +publish -publish +subscribe +psubscribe +select|0 +select|1 +SELECT|0 -select +select -select|0
    +get|x +config|get|x +nosuch -nosuch +@nosuch -@nosuch + - +@ +| foo ~x~ >pw >pw2 <pw <nosuch > #abc !abc #XYZ
    (+get) (~a*) (+set~x) (on) (+nosuch) () ( ) (+get ~a*) ((+get)) (+client|id) -acl|list +acl|whoami
    -multi +multi +exec -exec +copy +sort +ping -ping +object|encoding +memory|usage""".split()
).map(str.encode)
odd_rule = either(
    "(+get ~b*)", "( ~a*  %R~b* +mget )", "", "~with space", "&with space", b"#" + HASH, b"!" + HASH, "~\t"
)
rules = st.lists(st.one_of(rule, rule, rule, odd_rule), min_size=0, max_size=7).map(tuple)
request = st.sampled_from(
    [
        "GET a1", "GET b", "SET a1 x", "SET a1 x GET", "SET z x", "MGET a1 b z", "COPY a1 b", "COPY b a1", "EXISTS z b",
        "CONFIG GET nosuch", "CONFIG SET nosuch 1", "SELECT 0", "SELECT 1", "PUBLISH c1 x", "PUBLISH d x",
        "PUBLISH e x", "SPUBLISH c1 x", "PING", "SORT a1 BY nosort", "SORT a1 BY w*", "SORT a1 GET #",
        "SORT a1 STORE b", "LMPOP 1 a1 LEFT", "LMPOP 2 a1 z LEFT", "LMPOP 5 z LEFT", "OBJECT ENCODING a1",
        "ACL WHOAMI", "ACL LIST x",
        "CLIENT ID x", "DEL a1 b", "RENAME a1 b", "ZUNIONSTORE a1 1 b", "ZADD b 1 x", "RPOPLPUSH a1 b", "TYPE z",
        "TOUCH a1 z", "EVAL return 1 a1", "EVAL 1 1 z", "NOSUCH a", "GET", "WATCH a1 z",
    ]
).map(lambda line: tuple(line.encode().split()))  # fmt: skip
listener = st.sampled_from(
    [
        "SUBSCRIBE c1",
        "SUBSCRIBE c1 e",
        "PSUBSCRIBE c*",
        "PSUBSCRIBE c1 d",
        "SSUBSCRIBE d",
        "UNSUBSCRIBE e",
        "SUNSUBSCRIBE e",
    ]
).map(lambda line: tuple(line.encode().split()))

DELUSER = ("ACL", "DELUSER", USER)
SETUSER = ("ACL", "SETUSER", USER)
MAKE = (*SETUSER, b"on", b"nopass", rules)
LOGIN = ("AUTH", USER, b"x")
LEAVE = ("AUTH", b"default", b"x")

COMMANDS = [
    snippet(
        DELUSER, (*SETUSER, rules), (*SETUSER, rules), ("ACL", "GETUSER", USER), ("ACL", "LIST"), weight=12
    ),
    snippet(
        DELUSER,
        (*SETUSER, rules),
        ("ACL", "DRYRUN", USER, request),
        ("ACL", "DRYRUN", USER, request),
        ("ACL", "DRYRUN", USER, listener),
        weight=8,
    ),
    snippet(
        DELUSER,
        MAKE,
        ("ACL", "LOG", "RESET"),
        LOGIN,
        (request,),
        (request,),
        (request,),
        LEAVE,
        ("ACL", "LOG"),
        ("UNWATCH",),
        weight=8,
    ),
    snippet(
        DELUSER,
        (*MAKE, b"+multi", b"+exec", b"+acl"),
        ("ACL", "LOG", "RESET"),
        LOGIN,
        ("MULTI",),
        (request,),
        ("ACL", "WHOAMI"),
        (request,),
        ("EXEC",),
        LEAVE,
        ("DISCARD",),
        ("ACL", "LOG"),
        weight=6,
    ),
    snippet(
        DELUSER,
        MAKE,
        LOGIN,
        ("MULTI",),
        (request,),
        (*SETUSER, rules),
        (request,),
        (request,),
        ("EXEC",),
        LEAVE,
        ("DISCARD",),
        weight=4,
    ),
    snippet(
        ("ACL", "LOG", "RESET"),
        ("AUTH", either("u", "nobody", "default"), either("x", "pw")),
        ("AUTH", either("u", "nobody"), either("x", "pw")),
        LEAVE,
        ("ACL", "LOG", either("1", "2", "-1", "x", "0")),
        weight=4,
    ),
    command("ACL DELUSER", many(either("u", "v", "nobody")), mangle=False),
    command("ACL DELUSER", many(either("v", "default"))),
    command("ACL SETUSER", either("v", "v", "with space", "nul\0", ""), many(rule)),
    command("ACL GETUSER", either("u", "v", "nobody", "default")),
    command("ACL USERS"),
    command("ACL LIST"),
    command("ACL WHOAMI"),
    command("ACL CAT", many(either("nosuch", "x" * 200, "GET"), 1, 1)),
    command("ACL CAT"),
    command("ACL GENPASS", either("0", "-1", "4097", "x", "9223372036854775808"), mangle=False),
    command("ACL LOG", either("RESET", "reset", "x", "-5")),
    command("ACL DRYRUN", either("nobody", "default"), request),
    command("ACL LOAD"),
    command("ACL SAVE"),
    command("ACL HELP"),
    command("ACL", either("NOSUCH", "nosuch")),
]

# Two clients, so that steps go one by one: Valkey 8.0.1 loses the reply to a failed AUTH behind other replies.
GROUP = Group(
    "acl",
    COMMANDS,
    clients=2,
    seeds=False,
    length=12,
    before=(("ACL", "DELUSER", "u", "v", ""), ("ACL", "LOG", "RESET")),
)
