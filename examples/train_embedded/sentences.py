"""Sentences and the facts in them: what a record is to be read off.

A template says `{role}` where a fact stands and `[this|that|]` where the wording may vary (brackets may nest).
A domain gives each role its value kind, its JSON type and the names that a key for it may have.
"""

import random
import re
from dataclasses import dataclass, field

from values import Values, invented


@dataclass
class Role:
    kind: str
    type: str
    keys: list[str]
    said: dict = field(default_factory=dict)  # for flags and choices: value -> ways to say it


def role(kind: str, type: str, keys: str, **said: str) -> Role:
    return Role(kind, type, keys.split(), {k: v.split("; ") for k, v in said.items()})


PERSON = dict(
    name=role(
        "name",
        "string",
        "name name name full_name fullName person who customer patient employee contact author student",
    ),
    age=role("age", "integer", "age age age years age_years"),
    city=role("city", "string", "city city city town location place residence home_town"),
    old=role("city", "string", "previous_city from origin former_city moved_from birthplace"),
    country=role("country", "string", "country nation country_name"),
    job=role("job", "string", "job job occupation profession role position title"),
    company=role("company", "string", "company employer organization firm workplace"),
    email=role("email", "email", "email email email mail email_address contact e_mail"),
    phone=role("phone", "string", "phone phone telephone phone_number tel mobile"),
    year=role("year", "integer", "year since year_joined start_year"),
    married=role(
        "flag", "boolean", "married is_married", true="married; who is married", false="single; not married; unmarried"
    ),
)
ORDER = dict(
    customer=role("name", "string", "customer name buyer client customer_name ordered_by"),
    product=role("product", "string", "product item product_name article goods"),
    quantity=role("quantity", "integer", "quantity quantity count amount qty number units how_many"),
    price=role("price", "number", "price price total cost amount unit_price"),
    order=role("code", "string", "id order_id order number order_number reference ref"),
    city=role("city", "string", "city destination ship_to delivery_city address"),
    date=role("date", "date", "date order_date ordered_on delivery_date day when"),
    status=role(
        "choice",
        "enum",
        "status state order_status",
        shipped="shipped; has been shipped; is on its way",
        pending="pending; is pending; is waiting",
        delivered="delivered; was delivered; has arrived",
        cancelled="cancelled; was cancelled; has been called off",
    ),
    paid=role(
        "flag",
        "boolean",
        "paid is_paid settled",
        true="paid; already paid; paid in full",
        false="unpaid; not paid; not yet paid",
    ),
    gift=role(
        "flag",
        "boolean",
        "gift gift_wrap is_gift",
        true="as a gift; gift-wrapped",
        false="not a gift; without gift wrap",
    ),
)
EVENT = dict(
    event=role("title", "string", "title event name event_name subject topic"),
    date=role("date", "date", "date when day event_date on"),
    time=role("time", "string", "time start start_time at begins"),
    day=role("day", "string", "day weekday day_of_week"),
    city=role("city", "string", "city place location venue where"),
    host=role("name", "string", "host organizer organiser speaker led_by chair"),
    guests=role("people", "list", "guests attendees participants people members invited"),
    seats=role("quantity", "integer", "seats capacity places tickets max_guests"),
    room=role("code", "string", "room room_number hall venue"),
    online=role(
        "flag",
        "boolean",
        "online remote virtual is_online",
        true="online; held online; remotely",
        false="in person; on site; not online",
    ),
)
TICKET = dict(
    reporter=role("name", "string", "reporter name user reported_by customer from"),
    ticket=role("code", "string", "id ticket ticket_id issue number case"),
    priority=role(
        "choice",
        "enum",
        "priority severity urgency level",
        high="high; urgent",
        medium="medium; normal",
        low="low; not urgent",
    ),
    status=role(
        "choice", "enum", "status state", open="open; still open", closed="closed; now closed", blocked="blocked; stuck"
    ),
    tags=role("tags", "list", "tags labels topics categories keywords"),
    product=role("product", "string", "product device item component"),
    date=role("date", "date", "date reported_on opened created due"),
    version=role("number", "number", "version release"),
    owner=role("first", "string", "assignee owner assigned_to responsible"),
    resolved=role(
        "flag",
        "boolean",
        "resolved fixed done is_resolved",
        true="resolved; fixed; solved",
        false="not resolved; not fixed; unsolved",
    ),
)
THING = dict(
    product=role("product", "string", "name product item title product_name"),
    price=role("price", "number", "price price cost amount price_usd"),
    stock=role(
        "flag",
        "boolean",
        "in_stock available inStock is_available",
        true="in stock; available",
        false="out of stock; sold out; not available",
    ),
    number=role("quantity", "integer", "stock quantity count left units pieces"),
    sku=role("code", "string", "sku id code article_number model"),
    weight=role("number", "number", "weight weight_kg kg size length_cm"),
    company=role("company", "string", "brand maker manufacturer company vendor"),
    tags=role("tags", "list", "tags categories keywords"),
    rating=role("number", "number", "rating score stars"),
)
BOOK = dict(
    title=role("title", "string", "title title book name"),
    author=role("name", "string", "author author writer written_by by"),
    year=role("year", "integer", "year published year_published publication_year"),
    pages=role("integer", "integer", "pages page_count length number_of_pages"),
    publisher=role("company", "string", "publisher house published_by"),
    genre=role(
        "choice",
        "enum",
        "genre category type",
        fiction="novel; story",
        poetry="book of poems; poetry collection",
        history="history; historical study",
    ),
)
TRIP = dict(
    passenger=role("name", "string", "passenger name traveller guest who"),
    start=role("city", "string", "from origin departure start from_city departs_from"),
    goal=role("city", "string", "to destination arrival city to_city arrives_in"),
    date=role("date", "date", "date departure_date day when travel_date"),
    time=role("time", "string", "time departure_time departs at"),
    seat=role("code", "string", "seat seat_number gate flight booking train"),
    price=role("price", "number", "price fare cost"),
    nights=role("quantity", "integer", "nights days duration stay"),
)

DOMAINS = [
    (
        PERSON,
        """{name}, {age}, [moved|has moved|relocated|just moved] to {city} [last spring|last year|in May|recently|two weeks ago|].
{name}, {age}, [lives|is living|now lives] in {city}[ with two cats| and likes it|].
{name} ([aged |]{age}) is [a|the] {job} [from|in|based in] {city}.
{name} is {age} years old and [lives in|comes from|works in] {city}.
{age}-year-old {name} [works as a {job}|is a {job}] [in|near] {city}.
{name} from {city} [turned|is turning|will be] {age} [today|this week|in June].
[My name is|I am|Hi, I'm|Hello, this is] {name}, I['m| am] {age} [and live in|and I live in|, living in] {city}.
{name}, a {age}-year-old {job}, moved from {old} to {city}.
{name}, {age}, left {old} for {city} [in {year}|last autumn|].
{name} [works|has worked|has been working] [for|at] {company} [as a {job}|] since {year}.
{name} is {married} and works as a {job} for {company}.
{name}, {married}, {age}, {city}, {country}.
[In {year} |]{name} [joined|started at|was hired by] {company} in {city}, {country}.
[The new {job} at {company} is|Meet our new {job},|We hired a {job}:] {name}, {age}, from {city}.
{name} was born in {old}, [grew up|studied] in {country} and [now |]lives in {city}.
{name}, {job}, {city}
{name} ({email}) [lives in|writes from|is in] {city}.
[Please contact|Write to|Contact|You can reach] {name} [at|under|via] {email} [or {phone}|or call {phone}|].
[The {job} |]{name}, {age}, can be reached at {phone}.
{name}, {age}, {city}, {email}
Meet {name}. [She|He|They] [is|are] {age} and [lives in|live in|comes from] {city}.
[At {age}|At the age of {age}], {name} moved to {city}.
{name} lives in {city}. [She|He] is {age}[ years old|].
[Our|The] new colleague {name} ({age}) [lives in|is from] {city}.
[I met|We met|I know] {name} [in|from] {city}; [she|he] is {age}[ years old|].
[Her|His|The] name is {name}, [she|he] is {age} and [she|he] [lives|works] in {city}.
{city}-based {job} {name} [is {age}|turned {age}|, {age}].
[My friend|My sister|My neighbour|Our customer] {name} from {city} is {age}.
{name} moved from {old} to {city} at [the age of |]{age}.
Born in {old}, {name} [now lives|has lived for years|works] in {city}[ as a {job}|].
The {age}-year-old {job} {name} [lives in {city} and |]can be reached at {email}.
{age}, {name}, {city}
{name} | {age} | {city} | {email}
[Hello|Hi|Dear team], [this is|my name is|I am] {name} from {city}. [My email is|Write to|Mail me at] {email}.
{name} [became|is|was appointed] {job} [at|of] {company} at {age}.
[Yesterday|Last week|In {year}] {name}, {job} at {company}, [moved|went|flew] from {old} to {city}.""",
        [
            "[Her|His|Their] email is {email}.",
            "[Email|Mail|E-mail|Contact]: {email}[.|]",
            "[Phone|Tel.|Call]: {phone}[.|]",
            "[She|He] works as a {job}.",
            "[She|He] is {married}.",
            "[She|He] is {age}.",
            "[She|He] can be reached at {phone} or {email}.",
            "[She|He] works for {company}.",
        ],
    ),
    (
        ORDER,
        """{customer} [ordered|bought|has ordered|would like] {quantity} {product}[s|] [for|at|,] {price}.
[Order|Order no.|Your order] {order}: {quantity} x {product}, {price}, [ship to|to|for] {city}.
[Order|The order] {order} [from|of|by] {customer} {status}.
{customer} from {city} [bought|ordered|wants|needs] {quantity} {product}[s|] [on {date}|{gift}|].
{quantity} {product}[s|] [were sold|went|were sent] to {customer} in {city} for {price} on {date}.
[On {date}|Yesterday|Today] {customer} [paid|spent] {price} [for|on] [a|one|the] {product}.
The {product} for {customer} {status}; order {order}, {paid}.
[Invoice|Bill] {order}: {customer}, {price}, {paid}, due {date}.
Please send {quantity} {product}[s|] to {customer} in {city}, {gift}.
The order {order} of {date} {status} and is {paid}.""",
        [
            "The order is {paid}.",
            "It {status}.",
            "[Order|Reference|Ref] {order}.",
            "[Total|It costs|Price]: {price}.",
            "[Ordered|Placed] on {date}.",
            "Ship to {city}.",
        ],
    ),
    (
        EVENT,
        """[The|Our] [meeting|talk|concert|workshop|event] {event} [takes place|is|will be held] in {city} on {date}[ at {time}|].
{event}: {date}, {time}, {city}
{host} [will speak|speaks|gives a talk] [about|on] {event} [on {day}|] at {time} in [room |]{room}.
[Join us|Come] for {event} with {host} on {day} at {time}, {online}.
{host} [invites|has invited|invited] {guests} to {event} on {date}.
[Meeting|Call|Lunch] with {guests} on {day} at {time} [in room {room}|in {city}|].
The workshop {event} on {date} has {seats} [seats|places] and is {online}.
[Reminder: |]{event} starts at {time} on {day} in {city}; {seats} [seats|places] left.
On {date} {host} [hosts|opens|leads] {event} in {city}.""",
        [
            "It is {online}.",
            "[Guests|Attendees|With]: {guests}.",
            "{host} is the host.",
            "There are {seats} seats.",
            "It starts at {time}.",
            "Room {room}.",
        ],
    ),
    (
        TICKET,
        """[Ticket|Issue|Case] {ticket} [from|by|opened by] {reporter}: [the|my] {product} [does not work|is broken|crashes|stopped working].
{reporter} [reported|reports|opened] {ticket} on {date}; priority [is |]{priority}.
[Ticket|Issue] {ticket} is {status}, priority {priority}, assigned to {owner}.
The {product} [fails|breaks|is slow] since version {version}; {owner} [is looking into it|takes care of it|owns it].
{ticket} ({priority}) was {resolved} [by {owner}|in version {version}|on {date}].
[The ticket|Issue] {ticket} is tagged {tags} and is {status}.
{owner}, please look at {ticket}: {reporter} says the {product} is broken. [Tags|Labels]: {tags}.
{reporter}'s {product} problem ({ticket}) is {resolved}, {owner} said on {date}.""",
        [
            "Priority: {priority}.",
            "Status: {status}.",
            "[Tags|Labels]: {tags}.",
            "It is {resolved}.",
            "Assigned to {owner}.",
            "Reported on {date}.",
        ],
    ),
    (
        THING,
        """[The|This|Our] {product} [costs|is|sells for|is priced at] {price} and is {stock}.
{product}, {price}, {stock}
[The|A] {product} [by|from|made by] {company} [weighs|comes to] {weight} kg [and costs {price}|].
[We have|There are|Still] {number} {product}[s|] [left|in the warehouse|] at {price} [each|apiece|].
{company} [sells|offers|launched] [a|the new] {product} for {price} [(model {sku})|, {sku}|].
{sku}: {product}, {weight} kg, {price}
The {product} ({sku}) has a rating of {rating} and is {stock}.
{company} {product}: {rating} stars, {price}, {stock}. Tags: {tags}.
The {product} is {stock}, {number} pieces, tagged {tags}.""",
        [
            "It is {stock}.",
            "[It costs|Price:] {price}.",
            "[Rating|Rated|Customers give it]: {rating}.",
            "[SKU|Model|Article] {sku}.",
            "Tags: {tags}.",
            "It weighs {weight} kg.",
        ],
    ),
    (
        BOOK,
        """{title} by {author} [was published|came out|appeared] in {year}[ and has {pages} pages|].
{author} [wrote|published|is the author of] the {genre} {title} [in {year}|].
{author}: {title}. {publisher}, {year}, {pages} pages
I [just read|loved|finished] "{title}" by {author}, a {genre} of {pages} pages.
{publisher} [published|prints|brought out] {author}'s {title} in {year}.
The {genre} {title} ({year}) was written by {author} and has {pages} pages.""",
        ["It has {pages} pages.", "It was published by {publisher}.", "It came out in {year}.", "It is a {genre}."],
    ),
    (
        TRIP,
        """{passenger} [flies|is flying|travels|goes|takes the train] from {start} to {goal} on {date}[ at {time}|].
[Flight|Train|Bus] {seat} [from|leaves] {start} to {goal} [departs|leaves|goes] at {time}.
{passenger}: {start} to {goal}, {date}, {price}
[Book|Please book|I need] a [ticket|seat|flight] from {start} to {goal} for {passenger} on {date}.
{passenger} stays {nights} nights in {goal} for {price}.
{passenger} [will leave|leaves] {start} on {date} and stay in {goal} for {nights} [nights|days].
The [fare|ticket|trip] from {start} to {goal} [costs|is] {price}, seat {seat}.""",
        [
            "[Seat|Booking] {seat}.",
            "It costs {price}.",
            "[Departure|It leaves] at {time}.",
            "The stay is {nights} nights.",
        ],
    ),
]


def expand(rng: random.Random, template: str) -> str:
    """Choose among the bracketed alternatives, innermost first."""
    while "[" in template:
        template = re.sub(r"\[([^\[\]]*)\]", lambda m: rng.choice(m[1].split("|")), template)
    return template


@dataclass
class Fact:
    key: str
    type: str
    value: object
    options: list[str] = field(default_factory=list)


def facts(rng: random.Random, values: Values, domain: tuple) -> tuple[str, dict[str, Fact], dict[str, Role]]:
    """A short text of a domain, the facts it states by role, and the domain's roles."""
    roles, templates, tails = domain
    template = rng.choice(templates.split("\n"))
    used = set(re.findall(r"{(\w+)}", template))
    for tail in rng.sample(tails, rng.choice([0, 0, 0, 1, 1, 2])):
        if not used & set(re.findall(r"{(\w+)}", tail)):
            used |= set(re.findall(r"{(\w+)}", tail))
            template = template.rstrip("\n") + (" " if template[-1] in ".?!" else ". ") + tail
    text, found = expand(rng, template.replace("\\n", "\n")), {}
    for name in dict.fromkeys(re.findall(r"{(\w+)}", text)):
        found[name], said = state(rng, values, roles[name])
        text = text.replace("{" + name + "}", said)
    return text.strip(), found, roles


def state(rng: random.Random, values: Values, role: Role) -> tuple[Fact, str]:
    """One fact for this role, and the words that state it."""
    key, options = rng.choice(role.keys), []
    if rng.random() < 0.15:
        word = rng.choice("value name text info main new current full field data the my item user old first".split())
        key = rng.choice(
            [
                f"{key}_{word}",
                f"{word}_{key}",
                f"{word}{key.title().replace('_', '')}",
                f"{key}-{word}",
                key.upper(),
                key.title(),
            ]
        )
    if role.kind == "flag":
        truth = rng.choice(["true", "false"])
        return Fact(key, "boolean", truth == "true"), rng.choice(role.said[truth])
    if role.kind == "choice":
        value = rng.choice(list(role.said))
        options = rng.sample(list(role.said), len(role.said))
        return Fact(key, "enum", value, options), rng.choice(role.said[value])
    value, said = values.kind(role.kind)
    return Fact(key, role.type, value), said


def listing(rng: random.Random, values: Values, words: list[str], most: int = 5) -> tuple[str, dict[str, Fact], dict]:
    """Facts about keys that nobody has heard of, stated one after another; what teaches to look a key up."""
    found, parts = {}, []
    style = expand(
        rng,
        rng.choice(
            [
                "{k}: {v}",
                "{k}: {v}",
                "{k} = {v}",
                "[the |its |my |]{k} is {v}",
                "{k} {v}",
                "{v} is the {k}",
                "[The |]{k} [was|will be|must be] {v}",
                "{v} ({k})",
            ]
        ),
    )
    glue = rng.choice([", ", "; ", ". ", "\n", " and "])
    for _ in range(rng.randint(1, most)):
        key = rng.choice(
            [rng.choice(words), rng.choice(words), invented(rng), f"{rng.choice(words)}_{rng.choice(words)}"]
        )
        if key in found:
            continue
        kind, type = rng.choice(
            [
                ("text", "string"),
                ("text", "string"),
                ("first", "string"),
                ("name", "string"),
                ("code", "string"),
                ("integer", "integer"),
                ("number", "number"),
                ("city", "string"),
                ("date", "date"),
                ("tags", "list"),
                ("email", "string"),
                ("sentence", "string"),
                ("address", "string"),
                ("website", "string"),
                ("path", "string"),
                ("label", "string"),
                ("price", "number"),
                ("quantity", "integer"),
                ("phone", "string"),
                ("title", "string"),
            ]
        )
        value, said = values.kind(kind)
        spoken = key.replace("_", " ") if rng.random() < 0.5 else key
        found[key] = Fact(key, type, value)
        parts.append(style.format(k=spoken, v=said))
    text = glue.join(parts)
    return text + rng.choice(["", "."]), found, {}
