"""What form letters and choices are made of; `[this|that|]` as in `sentences.py`."""

NAMES = dict(
    name="who customer name2 person sender by from", first="name who customer person", order="number id order_number n code",
    code="number id reference n ref", city="where place town", date="when day on", day="when weekday", time="at when hour",
    company="sender firm team by", product="item thing what article", price="cost amount total", email="mail to address", phone="tel number",
    sentence="text message what", title="subject topic name", host="machine server name", ip="address", quantity="count n number",
)  # fmt: skip

LETTERS = r"""Dear {first},\n[thank you for|we received|we have] your order {order} of {date}.[ It will be sent to {city}.|]\n[Yours|Best regards|Sincerely],\n{company}
Dear {name},\nyour appointment is on {date} at {time}[ in room {code}|].\nYours,\n{company}
Hello {first},\n[the|your] {product} you ordered costs {price} and [leaves|ships] on {date}.\n[Thanks|Best], {company}
Invoice {order}\nTo: {name}, {city}\nFor: {product}\nTotal: {price}\nDue: {date}
Name: {name}\nCity: {city}\n[Phone: {phone}|Email: {email}]\n[Company: {company}|Job: {job}]
Hi {first}! [We are happy to|I would like to] invite you to {title} on {date} in {city}. [Yours|Cheers], {name}
{name} ({email}) will arrive in {city} at {time}.
Meeting with {name} on {date}, {time}, room {code}.
Dear {name},\nwe are sorry that your {product} ({code}) did not arrive in {city}.\n{company}
- name: {name}\n- job: {job}\n- phone: {phone}
# {title}\nby {name}, {company}, {date}
{name}, {address}, {city}
[The|Our] {product} {code} [costs|is] {price}.
Host {host}\n  HostName {ip}\n  User {first}\n  Port {port}
[Error|Warning] in {path}: {sentence}
{sentence}\n-- {name}, {city}
To: {email}\nFrom: {name}\nSubject: {sentence}
{name} was born on {date} in {city} and works as a {job} [at|for] {company}.
Ship {quantity} {product} to {name}, {address}.
name = "{name}"\nage = {age}\ncity = "{city}"
SELECT * FROM orders WHERE name = '{name}' AND city = '{city}';
Dear {first},\nyour order {order} [leaves|ships|arrives] on {day}.[\nYours, {company}|\nYours, {name}||]
Dear {first},\nyour [parcel|package|booking] {code} [arrives|starts] on {day} at {time}.
[On {day}|Today] {name} [meets|calls|visits] {first} in {city} at {time}.
[<b>{title}</b>|<h1>{title}</h1>] {sentence} <i>{name}</i>"""

TOPICS = dict(
    billing="invoice charged refund payment credit card bill overcharged receipt subscription price fee",
    shipping="package delivery arrived courier tracking parcel shipped late lost address shipment",
    bug="crashes error broken fails exception freeze wrong stacktrace does-not-work stopped bug",
    account="password login sign-in username locked profile email-address two-factor account",
    sports="match goal team player coach league won tournament champion score season",
    politics="election president parliament minister vote law government party senate campaign",
    science="researchers study experiment physicists cells galaxy theory laboratory discovered",
    business="shares profit company market merger revenue investors quarterly bank sales",
    weather="rain snow storm sunny degrees wind forecast clouds temperature thunder",
    food="recipe bake soup cheese restaurant delicious cook flour dinner tomatoes",
    travel="flight hotel beach passport luggage train trip airport tourists island",
    health="doctor fever hospital medicine patient vaccine pain symptoms clinic diet",
    positive="love great excellent wonderful happy perfect amazing good fantastic thank",
    negative="terrible awful bad hate disappointed poor horrible worst angry useless",
    question="what when how could why where would-you is-it-possible who which",
    request="please send could-you need want kindly give provide help",
    complaint="complain unacceptable refund broken rude disappointed waited never-arrived damaged angry",
    praise="thank-you excellent brilliant wonderful well-done superb helpful friendly impressed amazing",
    spam="winner prize click free-offer lottery cheap-pills congratulations million-dollars claim urgent-transfer",
    urgent="immediately asap emergency right-now critical urgent down outage deadline tonight",
    music="concert guitar song album band singer piano orchestra melody drums",
    technology="software computer smartphone chip internet robot app laptop algorithm startup",
    finance="loan mortgage interest stocks savings tax dividend account investment insurance",
    education="school teacher exam students university homework lecture diploma classroom course",
    animals="dog cat horse elephant bird fish rabbit zoo puppy wolf",
    nature="forest river mountain lake tree flower ocean valley island meadow",
    cars="engine wheel tyre driver motor brake garage petrol gearbox road",
    family="mother father sister brother son daughter wedding baby grandmother uncle",
    history="war king empire ancient century revolution castle medieval emperor ruins",
    art="painting museum sculpture gallery artist canvas drawing exhibition portrait colours",
    law="court lawyer judge contract trial lawsuit attorney verdict crime sentence",
    feature="would-be-nice add support-for dark-mode export option new-button integrate wish suggestion",
    return_="send-back return exchange wrong-size refund unwanted replace gift-receipt label warehouse",
    greeting="hello hi good-morning good-evening hey welcome nice-to-meet-you greetings",
    goodbye="bye goodbye see-you farewell take-care good-night until-next-time so-long",
    yes="sure of-course certainly yes-please absolutely agreed sounds-good definitely okay gladly",
    no="no-thanks never not-at-all refuse decline cannot-agree no-way certainly-not impossible sorry-no",
)

FRAMES = [
    "The {w} {x} again.",
    "I think the {w} is {x}.",
    "{w}, {x}",
    "My {w} and {x} yesterday.",
    "There was {w} and then {x}.",
    "About {w}: {x}",
    "{w} {x} {y}",
    "Nothing but {w} here, {x}.",
    "We talked about {w}, {x} and {y}.",
    "This is about {w}.",
    "{w}! {x}!",
    "Yesterday: {w}, {x}, {y}.",
    "Can you tell me about {w} and {x}?",
    "It was {w}, really {x}.",
    "The {w} with the {x} {y}",
    "{w} and {x}, but above all {y}",
    "They said {w} because of {x}.",
]
