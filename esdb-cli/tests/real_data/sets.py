"""The sets of `shared/data` and how each of them is imported.

`mapping` holds the options of `esdb import`. A set without one comes as native lines from
`native.py`; a set with `scripted` and a mapping comes as foreign lines from there.
"""

from dataclasses import dataclass, field
from pathlib import Path

ZONELESS = "%Y-%m-%d %H:%M:%S"


@dataclass(frozen=True)
class Mapping:
    format: str
    space: str
    timestamp: str
    grouping: str | None = None
    indexes: dict = field(default_factory=dict)
    data: str | None = None
    default_space: str | None = None
    timestamp_format: str | None = None
    timezone: str | None = None
    timestamp_unit: str | None = None
    skip_bad: bool = False

    def flags(self):
        flags = ["--format", self.format, "--space", self.space, "--timestamp", self.timestamp]
        for name, value in self.indexes.items():
            flags += ["--index", f"{name}={value}"]
        for option in (
            "grouping",
            "data",
            "default_space",
            "timestamp_format",
            "timezone",
            "timestamp_unit",
        ):
            if (value := getattr(self, option)) is not None:
                flags += ["--" + option.replace("_", "-"), value]
        if self.skip_bad:
            flags += ["--on-error", "skip"]
        return flags


@dataclass(frozen=True)
class Set:
    name: str
    paths: list  # below shared/data
    unit: str
    events: int
    mapping: Mapping | None = None
    skipped: int = 0
    scripted: bool = False

    def files(self, shared):
        return [Path(shared) / "data" / path for path in self.paths]

    def flags(self):
        return ["--unit", self.unit] + (self.mapping.flags() if self.mapping else [])


MAPPED = [
    Set(
        "github-events",
        ["github-events-2021/events.jsonl.zst"],
        unit="s",
        events=800,
        mapping=Mapping(
            "ndjson",
            space="/repo/name",
            grouping="/org/login",
            timestamp="created_at",
            indexes={"type": "type", "actor": "/actor/login", "action": "/payload/action"},
        ),
    ),
    Set(
        "wiki-edits",
        ["wiki-edits-2016/wikipedia.jsonl.zst"],
        unit="ms",
        events=24_433,
        mapping=Mapping(
            "ndjson",
            space="channel",
            grouping="namespace",
            timestamp="timestamp",
            indexes={
                "user": "user",
                "robot": "isRobot",
                "country": "countryIsoCode",
                "flags": "flags",
                "bucket": "deltaBucket",
            },
        ),
    ),
    Set(
        "winevents",
        ["winevents-otrf-dcom/events.jsonl.zst"],
        unit="ms",
        events=32_706,
        mapping=Mapping(
            "ndjson",
            space="Hostname",
            grouping="Channel",
            timestamp="@timestamp",
            indexes={
                "event": "EventID",
                "keywords": "Keywords",
                "process": "ProcessGuid",
                "image": "Image",
                "tag": "tags",
            },
        ),
    ),
    Set(
        "zeek-dns",
        ["zeek-dns-syslog-2018/dns.jsonl.zst"],
        unit="us",
        events=53_615,
        mapping=Mapping(
            "ndjson",
            space="id.orig_h",
            grouping="uid",
            timestamp="ts",
            indexes={
                "query": "query",
                "type": "qtype_name",
                "rcode": "rcode_name",
                "answer": "answers",
                "ttl": "TTLs",
            },
        ),
    ),
    Set(
        "zeek-syslog",
        ["zeek-dns-syslog-2018/syslog.jsonl.zst"],
        unit="us",
        events=2_378,
        mapping=Mapping(
            "ndjson",
            space="id.orig_h",
            grouping="uid",
            timestamp="ts",
            indexes={"facility": "facility", "severity": "severity", "port": "id.orig_p"},
        ),
    ),
    Set(
        "audit-cloudtrail",
        ["audit-cloudtrail-stratus/records.jsonl.zst"],
        unit="s",
        events=2_900,
        mapping=Mapping(
            "ndjson",
            space="/userIdentity/arn",
            default_space="service",
            grouping="eventSource",
            timestamp="eventTime",
            indexes={
                "event": "eventName",
                "error": "errorCode",
                "ip": "sourceIPAddress",
                "read-only": "readOnly",
            },
        ),
    ),
    Set(
        "audit-k8s",
        ["audit-k8s-falco/k8s_audit.jsonl"],
        unit="us",
        events=51,
        skipped=1,
        mapping=Mapping(
            "ndjson",
            space="/objectRef/namespace",
            default_space="cluster",
            grouping="/objectRef/resource",
            timestamp="stageTimestamp",
            indexes={
                "verb": "verb",
                "user": "/user/username",
                "group": "/user/groups",
                "source": "/sourceIPs/0",
                "code": "/responseStatus/code",
            },
            skip_bad=True,
        ),
    ),
    Set(
        "shop-retail",
        ["shop-uci-online-retail/online_retail.csv.zst"],
        unit="s",
        events=541_909,
        mapping=Mapping(
            "csv",
            space="CustomerID",
            default_space="anonymous",
            grouping="InvoiceNo",
            timestamp="InvoiceDate",
            timestamp_format=ZONELESS,
            timezone="UTC",
            indexes={"stock": "StockCode", "country": "Country", "quantity": "Quantity"},
        ),
    ),
    Set(
        "trades-btc",
        ["trades-questdb/btc_trades.csv"],
        unit="us",
        events=5_882,
        mapping=Mapping(
            "csv",
            space="symbol",
            timestamp="timestamp",
            indexes={"side": "side", "price": "price"},
        ),
    ),
    Set(
        "trades-nasdaq",
        ["trades-questdb/nasdaq_trades.csv.zst"],
        unit="s",
        events=14_842,
        mapping=Mapping(
            "csv",
            space="id",
            grouping="exchange",
            timestamp="timestamp",
            indexes={"price": "price", "hint": "priceHint"},
        ),
    ),
    Set(
        "iot-nab",
        ["iot-nab/nab.csv.zst"],
        unit="s",
        events=365_558,
        mapping=Mapping(
            "csv",
            space="series",
            timestamp="timestamp",
            timestamp_format=ZONELESS,
            timezone="UTC",
            indexes={"value": "value"},
            data="value",
        ),
    ),
    Set(
        "snowplow-events",
        ["product-snowplow-web/snowplow_web_events.csv"],
        unit="ms",
        events=160,
        mapping=Mapping(
            "csv",
            space="domain_userid",
            default_space="anonymous",
            grouping="domain_sessionidx",
            timestamp="collector_tstamp",
            timestamp_format=ZONELESS + "%.f",
            timezone="UTC",
            indexes={"event": "event", "app": "app_id", "path": "page_urlpath"},
        ),
    ),
    Set(
        "snowplow-vitals",
        ["product-snowplow-web/snowplow_web_vital_events.csv.zst"],
        unit="ms",
        events=1_000,
        skipped=1,
        mapping=Mapping(
            "csv",
            space="domain_userid",
            timestamp="collector_tstamp",
            timestamp_format=ZONELESS + "%.f%:z",
            indexes={"event": "event_name", "country": "geo_country", "url": "page_url"},
            skip_bad=True,
        ),
    ),
]

SCRIPTED = [
    Set(
        "quakes-usgs",
        ["quakes-usgs-2018/earthquakes.json.zst"],
        unit="us",
        events=1_707,
        scripted=True,
        mapping=Mapping(
            "ndjson",
            space="/properties/net",
            grouping="/properties/type",
            timestamp="/properties/time",
            timestamp_unit="ms",
            indexes={
                "magnitude": "/properties/mag",
                "alert": "/properties/alert",
                "status": "/properties/status",
                "id": "id",
            },
        ),
    ),
    Set(
        "alerts-suricata",
        ["alerts-suricata-wrccdc/alerts-2018.json"],
        unit="us",
        events=207,
        scripted=True,
    ),
    Set(
        "flights-airline",
        ["flights-airline-2014/airlineStats.jsonl.zst"],
        unit="s",
        events=9_746,
        scripted=True,
    ),
    Set(
        "soccer-euro",
        ["soccer-wyscout-euro2016/matches.jsonl", "soccer-wyscout-euro2016/events.jsonl.zst"],
        unit="us",
        events=78_140,
        scripted=True,
    ),
    Set(
        "pcap-modbus",
        ["pcap-modbus/modbusBig.pcap.zst"],
        unit="us",
        events=13_622,
        scripted=True,
    ),
    Set(
        "calendar-candidates",
        [
            "calendar-candidates-2015/2015_01_14_events.csv",
            "calendar-candidates-2015/2015_01_30_events.csv",
        ],
        unit="s",
        events=116,
        scripted=True,
    ),
]

SETS = MAPPED + SCRIPTED


def find(name):
    for candidate in SETS:
        if candidate.name == name:
            return candidate
    raise SystemExit(f"no set {name!r}; there are: {', '.join(s.name for s in SETS)}")
