"""RFC 4475 cases, own texts: each message has the defect or the oddity of the case whose name it bears."""

SDP = "v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\ns=-\r\nc=IN IP4 192.0.2.1\r\nt=0 0\r\nm=audio 4000 RTP/AVP 0\r\n"

FIELDS = {
    "Via": "SIP/2.0/UDP 192.0.2.1:5060;branch=z9hG4bKtorture",
    "Max-Forwards": "70",
    "From": "<sip:caller@192.0.2.1>;tag=f1",
    "To": "<sip:agent@192.0.2.9>",
    "Call-ID": "torture@192.0.2.1",
    "CSeq": "7 {method}",
    "Contact": "<sip:caller@192.0.2.1>",
}


def message(
    method="INVITE", uri="sip:agent@192.0.2.9", *, version="SIP/2.0", line=None, body="", extra=(), **changed
):
    """A good request but for what is changed; a field set to None is left out, ``extra`` lines are added raw."""
    fields = {name: value.replace("{method}", method) for name, value in FIELDS.items()}
    for name, value in changed.items():
        fields[name.replace("_", "-")] = value
    if body and "Content-Type" not in fields:
        fields["Content-Type"] = "application/sdp"
    fields.setdefault("Content-Length", str(len(body.encode())))
    lines = [line or f"{method} {uri} {version}"]
    lines += [f"{name}: {value}" for name, value in fields.items() if value is not None]
    return ("\r\n".join([*lines, *extra]) + "\r\n\r\n" + body).encode()


def response(status="200", *, reason=" OK", **changed):
    return message(line=f"SIP/2.0 {status}{reason}", **changed)


ODD_USER = "odd.~(user!mark)&isn't+it$/very?,/;;*"

ACCEPTED = {
    "wsinv": (
        f"INVITE sip:agent@192.0.2.9;x=y SIP/2.0\r\nTO :\r\n sip:agent@192.0.2.9 ;   tag    = t9n\r\n"
        'From   : "J Caller \\\\\\""       <sip:caller@192.0.2.1>\r\n  ;\r\n  tag = f1\r\nMax-Forwards: 0068\r\n'
        "i: wsinv.7@192.0.2.1\r\nCSeq: 0009\r\n  INVITE\r\nv:  SIP  / 2.0\r\n /UDP\r\n 192.0.2.1 ;branch=z9hG4bKws\r\n"
        "S:\r\nNewFangled:   new value\r\n continued ; and on\r\nUnknownWith: ;;,,;;,;\r\nc: application/sdp\r\n"
        "Route:\r\n <sip:192.0.2.9;lr;unknown=value;none>\r\nv:  SIP  / 2.0  / TCP     down.example ;\r\n"
        "  branch  =   z9hG4bK2 ,\r\n SIP  /    2.0   / UDP  192.0.2.77   ; branch=\r\n z9hG4bK3\r\n"
        'm:"Quoted \\"\\"" <sip:caller@192.0.2.1> ; newparam =\r\n  newvalue ;\r\n  second ; q = 0.33\r\n'
        f"l: {len(SDP)}\r\n\r\n{SDP}"
    ).encode(),
    "esc01": message(uri="sip:age%6Et%2540x@192.0.2.9;p=%41"),
    "escnull": message(From="<sip:null-%00-null@192.0.2.1>;tag=f1"),
    "lwsdisp": message(From="caller<sip:caller@192.0.2.1>;tag=f1"),
    "longreq": message(
        From=f'"{"I have a long name " * 20}" <sip:{"long" * 40}@192.0.2.1>;tag={"f" * 200}',
        To=f"<sip:agent@192.0.2.9;unknown={'very' * 80}>",
        Call_ID="longreq." + "one" * 80,
        extra=[f"Unknown-{'Long' * 10}-{i}: {'value ' * 12}" for i in range(24)],
    ),
    "dblreq": message("OPTIONS") + message("INVITE"),
    "semiuri": message("OPTIONS", uri="sip:user;par=u%40example.net@192.0.2.9"),
    "transports": message(
        "OPTIONS",
        extra=[
            f"Via: SIP/2.0/{t} t{t.lower()}.example;branch=z9hG4bK{t}" for t in ("SCTP", "TLS", "UNKNOWN")
        ],
    ),
    "unreason": response(reason=" = 2**3 * 5 но сто", Contact=None),
    "noreason": response("100", reason=" "),
    "cparam01": message("REGISTER", Contact="sip:+19725552222@gw.example.net;unknownparam"),
    "cparam02": message("REGISTER", Contact="<sip:+19725552222@gw.example.net;unknownparam>"),
    "regescrt": message("REGISTER", Contact="<sip:user@example.com?Route=%3Csip:sip.example.com%3E>"),
    "unksm2": message(
        "REGISTER", To="isbn:2983792873", From="<http://www.example.com>;tag=f1", Contact="<name:John_Smith>"
    ),
    "baddate": message(extra=["Date: Fri, 01 Jan 2010 16:00:00 EST"]),
    "regaut01": message("REGISTER", Authorization="NoOneKnowsThisScheme opaque-data=here", Contact=None),
    "inv2543": (
        f"INVITE sip:agent@192.0.2.9 SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.1\r\nFrom: <sip:caller@192.0.2.1>\r\n"
        f"To: <sip:agent@192.0.2.9>\r\nCall-ID: old@192.0.2.1\r\nCSeq: 56 INVITE\r\n"
        f"Content-Type: application/sdp\r\n\r\n{SDP}"
    ).encode(),
    "intmeth": message(
        "!interesting-Method0123456789_*+`.%indeed'~",
        uri=f"sip:{ODD_USER}:&it+has=1,pas$wo~d_too.(doesn't-it)@192.0.2.9",
        Via="SIP/2.0/UDP 192.0.2.1;branch=z9hG4bK-.!%66*_+`'~",
        From="\"%Z%45\" <sip:caller@192.0.2.1>;f''~+*_!.-%=\"r'x\";tag=_token~1'+`*%!-.",
        Call_ID="intmeth.word%ZK-!.*_+'@word`~)(><:\\/\"][?}{",
    ),
}

REFUSED = {
    "badinv01": (400, message(Contact='"Joe" <sip:joe@192.0.2.1>;;,;')),
    "clerr": (400, message(body=SDP, Content_Length="9999")),
    "ncl": (400, message(body=SDP, Content_Length="-999")),
    "scalar02": (400, message(CSeq="36893488147419103232 INVITE")),
    "scalar02-forwards": (400, message(Max_Forwards="300")),
    "scalar02-expires": (400, message(Expires="10" * 40)),
    "quotbal": (400, message(To='"Mr. J. User <sip:agent@192.0.2.9>')),
    "ltgtruri": (400, message(uri="<sip:agent@192.0.2.9>")),
    "lwsruri": (400, message(uri="sip:agent@192.0.2.9; lr")),
    "lwsstart": (400, message(line="INVITE  sip:agent@192.0.2.9  SIP/2.0")),
    "trws": (400, message(line="OPTIONS sip:agent@192.0.2.9 SIP/2.0  ", CSeq="7 OPTIONS")),
    "escruri": (400, message(uri="sip:agent@192.0.2.9?Route=%3Csip:example.com%3E")),
    "regbadct": (400, message("REGISTER", Contact="sip:user@example.com?Route=%3Csip:sip.example.com%3E")),
    "badaspec": (400, message(To='"Watson, Thomas" < sip:t.watson@192.0.2.9 >')),
    "baddn": (400, message(From="Bell, Alexander <sip:a.g.bell@192.0.2.1>;tag=f1")),
    "mismatch01": (400, message("OPTIONS", CSeq="8 INVITE")),
    "badbranch": (400, message("OPTIONS", Via="SIP/2.0/UDP 192.0.2.1:5060;branch=z9hG4bK")),
    "insuf-to": (400, message(To=None)),
    "insuf-from": (400, message(From=None)),
    "insuf-call-id": (400, message(Call_ID=None)),
    "multi01": (400, message(extra=["From: <sip:other@192.0.2.1>;tag=f2"])),
    "multi01-cseq": (400, message(extra=["CSeq: 8 INVITE"])),
    "mcl01": (400, message("OPTIONS", extra=["l: 5"])),
    "badvers": (505, message("OPTIONS", version="SIP/7.0", Via="SIP/7.0/UDP 192.0.2.1:5060;branch=z9hG4bKv")),
    "mismatch02": (501, message("NEWMETHOD", CSeq="9 INVITE")),
    "unkscm": (416, message("OPTIONS", uri="nobodyKnowsThisScheme:totallyopaquecontent")),
    "novelsc": (416, message("OPTIONS", uri="soap.beep://192.0.2.103:3002")),
    "bext01": (420, message("OPTIONS", Require="nothingSupportsThis, nothingSupportsThisEither")),
    "100rel": (420, message(Require="100rel")),
    "invut": (415, message(body="<audio/>", Content_Type="application/unknownformat")),
    "sdp01": (406, message(body=SDP, Accept="text/nobodyKnowsThis")),
    "zeromf": (483, message(Max_Forwards="0")),
    "zeromf-options": (200, message("OPTIONS", Max_Forwards="0")),
    "intmeth": (501, ACCEPTED["intmeth"]),
    "esc02-method": (501, message("RE%47IST%45R")),
    "register": (405, ACCEPTED["cparam01"]),
    "regaut01": (405, ACCEPTED["regaut01"]),
    "unksm2": (405, ACCEPTED["unksm2"]),
    "mpart01": (
        405,
        message("MESSAGE", body="--b\r\n\r\n\x00\x01--b--", Content_Type="multipart/mixed;boundary=b"),
    ),
    "baddate": (100, ACCEPTED["baddate"]),
    "inv2543": (100, ACCEPTED["inv2543"]),
}

DROPPED = {
    "scalarlg": response("503", reason=" Service Unavailable", CSeq="9292394834772304023312 OPTIONS"),
    "bigcode": response("4294967301", reason=" better not break the receiver"),
    "bcast": response(extra=["Via: SIP/2.0/UDP 192.0.2.200:5060;branch=z9hG4bKother"]),
    "no-via": message(Via=None),
    "bad-ack": message("ACK", To='"open <sip:agent@192.0.2.9>'),
    "no-end": b"INVITE sip:agent@192.0.2.9 SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.1;branch=z9hG4bKx\r\n",
    "too-long": message(extra=["X: " + "x" * 17_000]),
    "keep-alive": b"\r\n\r\n",
    "empty": b"",
}
