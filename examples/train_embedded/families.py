"""More families of short texts, in the notation of `sentences.py`."""

from sentences import role

VEHICLE = dict(
    brand=role("label", "string", "brand make manufacturer"),
    model=role("code", "string", "model type variant"),
    color=role("colour", "string", "color colour paint"),
    year=role("year", "integer", "year built model_year first_registered"),
    km=role("integer", "integer", "mileage km kilometers odometer"),
    price=role("price", "number", "price asking_price cost"),
    owner=role("name", "string", "owner seller driver contact"),
    plate=role("code", "string", "plate license_plate registration"),
    city=role("city", "string", "city location"),
    electric=role(
        "flag",
        "boolean",
        "electric is_electric",
        true="electric; fully electric",
        false="petrol; with a petrol engine; diesel",
    ),
)
VACANCY = dict(
    job=role("job", "string", "position title job role"),
    company=role("company", "string", "company employer organization"),
    city=role("city", "string", "location city office place"),
    salary=role("integer", "integer", "salary pay annual_salary"),
    percent=role("percent", "number", "workload percent pensum"),
    start=role("date", "date", "start start_date from begin"),
    contact=role("name", "string", "contact recruiter contact_person"),
    email=role("email", "email", "email apply_to contact_email"),
    languages=role("tongues", "list", "languages required_languages"),
    remote=role(
        "flag", "boolean", "remote is_remote home_office", true="remote; from home", false="on site; in the office"
    ),
)
RECIPE = dict(
    dish=role("dish", "string", "dish name title recipe"),
    cook=role("name", "string", "cook author by chef"),
    minutes=role("quantity", "integer", "minutes time_minutes duration prep_time cooking_time"),
    serves=role("quantity", "integer", "serves servings portions people"),
    country=role("country", "string", "origin country cuisine"),
    ingredients=role("tags", "list", "ingredients needs contains"),
    vegan=role("flag", "boolean", "vegan is_vegan", true="vegan; purely plant-based", false="not vegan; with meat"),
    rating=role("number", "number", "rating stars score"),
)
WEATHER = dict(
    city=role("city", "string", "city place location station"),
    temperature=role("degrees", "integer", "temperature temp degrees celsius"),
    wind=role("quantity", "integer", "wind wind_speed wind_kmh"),
    humidity=role("percent", "number", "humidity humidity_percent"),
    day=role("day", "string", "day weekday"),
    date=role("date", "date", "date day on"),
    sky=role(
        "choice",
        "enum",
        "sky weather condition",
        sunny="sunny; clear skies",
        rainy="rainy; rain",
        cloudy="cloudy; overcast",
        snowy="snowy; snow",
    ),
)
PATIENT = dict(
    patient=role("name", "string", "patient name patient_name"),
    born=role("date", "date", "born birth_date date_of_birth birthday"),
    doctor=role("name", "string", "doctor physician seen_by"),
    pulse=role("quantity", "integer", "pulse heart_rate"),
    weight=role("number", "number", "weight weight_kg"),
    room=role("code", "string", "room ward bed"),
    insurance=role("code", "string", "insurance insurance_number policy"),
    allergies=role("tags", "list", "allergies allergic_to"),
    smoker=role("flag", "boolean", "smoker smokes", true="a smoker; smoking", false="a non-smoker; not a smoker"),
)
COURSE = dict(
    title=role("title", "string", "course title subject name"),
    teacher=role("name", "string", "teacher lecturer instructor taught_by professor"),
    language=role("language", "string", "language taught_in"),
    credits=role("quantity", "integer", "credits ects points"),
    day=role("day", "string", "day weekday"),
    time=role("time", "string", "time starts_at start"),
    room=role("code", "string", "room classroom hall"),
    students=role("integer", "integer", "students participants enrolled"),
    level=role(
        "choice", "enum", "level difficulty", beginner="for beginners; beginner", advanced="advanced; for experts"
    ),
)
SONG = dict(
    title=role("title", "string", "title song track film name"),
    artist=role("name", "string", "artist singer director by performer"),
    album=role("title", "string", "album record series"),
    year=role("year", "integer", "year released release_year"),
    minutes=role("number", "number", "minutes length duration"),
    rating=role("number", "number", "rating score stars"),
    language=role("language", "string", "language sung_in"),
    genres=role("tags", "list", "genres genre_list tags styles"),
)
SERVER = dict(
    host=role("host", "string", "host hostname server machine node"),
    ip=role("ip", "string", "ip ip_address address"),
    port=role("port", "integer", "port port_number"),
    user=role("first", "string", "user username login account"),
    file=role("path", "string", "file path filename log_file"),
    message=role("sentence", "string", "message text msg description error"),
    level=role(
        "choice", "enum", "level severity log_level", error="ERROR; error", warning="WARN; warning", info="INFO; info"
    ),
    code=role("integer", "integer", "status code exit_code status_code"),
    seconds=role("number", "number", "seconds duration took latency"),
    date=role("date", "date", "date day on"),
    time=role("time", "string", "time at clock"),
    up=role("flag", "boolean", "up online reachable", true="up; reachable; online", false="down; unreachable; offline"),
)
RELEASE = dict(
    project=role("label", "string", "project name package product library"),
    version=role("release", "string", "version release tag"),
    author=role("name", "string", "author maintainer released_by committer"),
    commit=role("hash", "string", "commit sha hash revision"),
    branch=role("host", "string", "branch ref"),
    url=role("website", "string", "url website link homepage"),
    date=role("date", "date", "date released published on"),
    note=role("sentence", "string", "summary message note changes description"),
    files=role("quantity", "integer", "files changed_files files_changed"),
)
PLACE = dict(
    name=role("label", "string", "name place restaurant hotel shop"),
    address=role("address", "string", "address street location street_address"),
    city=role("city", "string", "city town"),
    phone=role("phone", "string", "phone telephone tel"),
    website=role("website", "string", "website url web site homepage"),
    opens=role("time", "string", "opens opening open_from"),
    closes=role("time", "string", "closes closing open_until"),
    rooms=role("quantity", "integer", "rooms tables seats"),
    rating=role("number", "number", "rating stars score"),
    open=role("flag", "boolean", "open is_open", true="open; open today", false="closed; closed today"),
)
MESSAGE = dict(
    sender=role("name", "string", "sender from author from_name"),
    to=role("name", "string", "recipient to receiver addressee"),
    subject=role("sentence", "string", "subject title topic about"),
    email=role("email", "email", "email reply_to sender_email"),
    body=role("sentence", "string", "message body text content quote"),
    date=role("date", "date", "date sent received on"),
    time=role("time", "string", "time sent_at at"),
    files=role("paths", "list", "attachments files documents"),
)

COUNTRY = dict(
    country=role("country", "string", "country name nation state"),
    capital=role("city", "string", "capital capital_city seat_of_government"),
    people=role("integer", "integer", "population inhabitants people"),
    area=role("number", "number", "area area_km2 surface"),
    language=role("language", "string", "language official_language spoken"),
    leader=role("name", "string", "president leader head_of_state prime_minister"),
    founded=role("year", "integer", "founded since independent_since"),
    coast=role(
        "flag", "boolean", "coast has_coast", true="on the sea; with a coast", false="landlocked; without a coast"
    ),
)
EXAM = dict(
    student=role("name", "string", "student pupil candidate learner"),
    subject=role("title", "string", "subject exam paper topic"),
    grade=role("number", "number", "grade mark score result"),
    points=role("quantity", "integer", "points achieved_points correct"),
    date=role("date", "date", "date exam_date taken_on"),
    school=role("company", "string", "school university college"),
    examiner=role("name", "string", "examiner supervisor graded_by"),
    passed=role("flag", "boolean", "passed has_passed success", true="passed; a pass", false="failed; not passed"),
)
SHIPMENT = dict(
    parcel=role("code", "string", "tracking tracking_number parcel shipment_id"),
    carrier=role("company", "string", "carrier shipper sent_with courier"),
    start=role("city", "string", "from origin sent_from"),
    goal=role("city", "string", "to destination deliver_to"),
    weight=role("number", "number", "weight weight_kg kilograms"),
    receiver=role("name", "string", "receiver recipient consignee"),
    arrives=role("date", "date", "arrives eta expected arrival_date"),
    pieces=role("quantity", "integer", "pieces boxes items packages"),
    fragile=role(
        "flag",
        "boolean",
        "fragile handle_with_care",
        true="fragile; to be handled with care",
        false="not fragile; robust",
    ),
)
FLIGHT = dict(
    flight=role("code", "string", "flight flight_number number"),
    airline=role("company", "string", "airline operator carrier"),
    start=role("city", "string", "from departs_from origin"),
    goal=role("city", "string", "to destination lands_in"),
    gate=role("code", "string", "gate terminal"),
    delay=role("quantity", "integer", "delay delay_minutes minutes_late"),
    pilot=role("name", "string", "pilot captain"),
    time=role("time", "string", "departure departs time"),
    status=role(
        "choice",
        "enum",
        "status state",
        on_time="on time; punctual",
        delayed="delayed; late",
        cancelled="cancelled; called off",
    ),
)
CLAIM = dict(
    insured=role("name", "string", "insured claimant policyholder name"),
    policy=role("code", "string", "policy policy_number contract"),
    item=role("product", "string", "item object damaged_item what"),
    damage=role("price", "number", "damage amount loss claim_amount"),
    date=role("date", "date", "date happened_on date_of_loss"),
    city=role("city", "string", "city where place"),
    cause=role(
        "choice",
        "enum",
        "cause reason kind",
        fire="fire; burnt",
        theft="theft; stolen",
        water="water; flooded",
        storm="storm; wind",
    ),
    witness=role("name", "string", "witness seen_by"),
)
MEMBER = dict(
    member=role("name", "string", "member subscriber user name"),
    plan=role("label", "string", "plan tier subscription product"),
    monthly=role("price", "number", "price monthly monthly_fee fee"),
    start=role("date", "date", "start start_date since from"),
    end=role("date", "date", "end end_date until expires"),
    email=role("email", "email", "email login account"),
    user=role("host", "string", "username user_id handle nickname"),
    active=role(
        "flag", "boolean", "active is_active enabled", true="active; enabled", false="inactive; cancelled; suspended"
    ),
)
TASK = dict(
    task=role("sentence", "string", "task todo title description"),
    owner=role("first", "string", "owner assignee assigned_to who"),
    due=role("date", "date", "due deadline due_date by"),
    hours=role("number", "number", "hours effort estimate"),
    project=role("label", "string", "project client board"),
    tags=role("tags", "list", "tags labels topics"),
    progress=role("percent", "number", "progress percent_done completed"),
    state=role(
        "choice",
        "enum",
        "state status",
        todo="to do; not started",
        doing="in progress; being worked on",
        done="done; finished",
    ),
)
ATHLETE = dict(
    athlete=role("name", "string", "athlete runner swimmer name cyclist"),
    country=role("country", "string", "country nation from"),
    seconds=role("number", "number", "time seconds result"),
    metres=role("integer", "integer", "distance metres meters"),
    rank=role("quantity", "integer", "rank place position"),
    coach=role("name", "string", "coach trainer"),
    club=role("company", "string", "club team"),
    year=role("year", "integer", "year season"),
)

MORE = [
    (
        COUNTRY,
        """{country} has {people} inhabitants[ and its capital is {capital}|].
[The capital of|The seat of government of] {country} is {capital}.
In {country} [people speak|they speak|one speaks] {language}; [the capital is|its capital:] {capital}.
{country} ({capital}), {area} km2, {people} people, {language}
{leader} [is|became|has been] president of {country}, which is {coast}.
{country}, founded in {founded}, covers {area} square kilometres.""",
        [
            "The official language is {language}.",
            "It is {coast}.",
            "{leader} governs the country.",
            "Area: {area} km2.",
        ],
    ),
    (
        EXAM,
        """{student} [scored|got|reached] {points} points in {subject}[ on {date}|].
{student} {passed}: {subject}, grade {grade}
{student} of {school} [took|sat] the exam {subject} [on {date}|with {examiner}] and {passed}.
[Result|Grade] for {student} in {subject}: {grade}
{examiner} gave {student} a {grade} in {subject}.""",
        ["The grade is {grade}.", "Examiner: {examiner}.", "[School|University]: {school}.", "Date: {date}."],
    ),
    (
        SHIPMENT,
        """[Parcel|Shipment|Package] {parcel} [from|sent from] {start} to {goal} arrives on {arrives}.
{carrier} [delivers|ships|brings] {pieces} [boxes|parcels] to {receiver} in {goal}.
{parcel}: {weight} kg, {pieces} pieces, {fragile}
[Your parcel|The parcel] {parcel} ({weight} kg) is {fragile} and [travels|goes] with {carrier}.
{carrier} {parcel}, {start} - {goal}, for {receiver}, expected {arrives}""",
        ["It weighs {weight} kg.", "It is {fragile}.", "[Recipient|For]: {receiver}.", "Sent with {carrier}."],
    ),
    (
        FLIGHT,
        """[Flight|Our flight] {flight} [from|out of] {start} to {goal} is {status}[, gate {gate}|].
{airline} flight {flight} to {goal} leaves at {time} from gate {gate}.
{flight} ({airline}): {start} to {goal}, {time}, {status}
{flight} is {delay} minutes late[, says captain {pilot}|].
Captain {pilot} flies {flight} from {start} to {goal} at {time}.""",
        ["Delay: {delay} minutes.", "Gate {gate}.", "Operated by {airline}.", "Status: {status}."],
    ),
    (
        CLAIM,
        """{insured} reports a damage of {damage} to a {item}[ in {city}|]; cause: {cause}.
[Policy|Contract] {policy}, {insured}: {item}, {cause}, {damage}
On {date} the {item} of {insured} was damaged in {city}; [witness|seen by]: {witness}.
{insured} claims {damage} for the {item} under policy {policy}.""",
        ["Witness: {witness}.", "The cause was {cause}.", "It happened on {date}.", "Policy {policy}."],
    ),
    (
        MEMBER,
        """{member} [subscribed to|has|booked] the plan {plan} [since|from] {start} [until {end}|for {monthly} a month].
{user} <{email}>: {plan}, {active}, until {end}
[The account|The membership] of {member} ({user}) is {active}.
{member} pays {monthly} [per|a] month for {plan}, {active}.
[Welcome|Hello] {member}, your plan {plan} starts on {start}. [Log in|Sign in] as {user}.""",
        ["It costs {monthly}.", "Email: {email}.", "It runs until {end}.", "The account is {active}."],
    ),
    (
        TASK,
        """{owner}: {task} [until|by|before] {due}
[TODO|Task]: {task} ({owner}, {hours} h)
{task} [belongs to|is part of] {project} and is {state}.
{owner} [has to|must|will] {task} for {project}; {progress} done.
[{project}]: {task} - {owner}, due {due}, {state}""",
        ["It takes {hours} hours.", "Tags: {tags}.", "It is {state}.", "[Deadline|Due]: {due}."],
    ),
    (
        ATHLETE,
        """{athlete} ({country}) ran {metres} metres in {seconds} seconds.
{rank}. {athlete}, {country}, {seconds}
{athlete} of {club} [finished|came] in place {rank} over {metres} m[ in {year}|].
{coach} [trains|coaches] {athlete} [from|of] {country} at {club}.
In {year} {athlete} swam {metres} metres in {seconds} s for {country}.""",
        ["Coach: {coach}.", "Club: {club}.", "That is rank {rank}."],
    ),
    (
        VEHICLE,
        """[For sale:|Selling|I sell my] {brand} {model}, {color}, {year}, {km} km, {price}.
{owner} [drives|owns|bought] a {color} {brand} {model}[ from {year}|].
The {color} {brand} with the plate {plate} belongs to {owner} [from|in] {city}.
{brand} {model} ({year}): {km} km, {electric}, {price}
A {brand} {model} was [stolen|found|seen] in {city}; [the plate is|its plate:] {plate}.
{owner} in {city} wants {price} for the {brand}, which is {electric}.""",
        [
            "It has {km} km on the clock.",
            "[Contact|Call] {owner}.",
            "It is {electric}.",
            "Price: {price}.",
            "Plate {plate}.",
        ],
    ),
    (
        VACANCY,
        """{company} [is looking for|seeks|is hiring|needs] a {job} in {city}[ from {start}|].
[Job|Vacancy|Open position]: {job} ({percent}), {company}, {city}
We [need|are looking for] a {job}, {percent}, {remote}, [starting|from] {start}. [Salary|Pay]: {salary}.
[Apply|Send your CV|Write] to {contact} ({email}) [for the job|to become] {job} at {company}.
The {job} at {company} earns {salary} and works {remote}.
You speak {languages} and want to be a {job} in {city}? [Write to|Ask] {contact}.""",
        [
            "[Languages|You speak]: {languages}.",
            "It is {remote}.",
            "[Start|Begins]: {start}.",
            "[Contact|Apply to] {email}.",
            "[Salary|Pay]: {salary}.",
        ],
    ),
    (
        RECIPE,
        """{dish} by {cook}: [takes|ready in] {minutes} minutes, [serves|for] {serves}.
[This|My|Our] {dish} [comes from|is from] {country}, takes {minutes} minutes and is {vegan}.
[For the|To make] {dish} you need {ingredients}; it serves {serves}[ people|].
{cook} [cooked|made|prepared] {dish} for {serves} [people|guests] in {minutes} minutes.
{dish} ({country}, {minutes} min) is {vegan} and [rated|has] {rating} [stars|].""",
        [
            "It is {vegan}.",
            "Ingredients: {ingredients}.",
            "Rating: {rating}.",
            "It serves {serves}.",
            "A recipe of {cook}.",
        ],
    ),
    (
        WEATHER,
        """[It is|It's|It will be] {temperature} degrees [and {sky} |]in {city}[ on {day}|].
{city}, {day}: {sky}, {temperature}°C, wind {wind} km/h
On {date} the temperature in {city} was {temperature} degrees, humidity {humidity}.
[The forecast for|In] {city}: {sky}, {temperature} degrees, wind of {wind} km/h.
{day} in {city}: {temperature} degrees, {sky}, {humidity} humidity.""",
        ["The wind blows at {wind} km/h.", "Humidity is {humidity}.", "It was {sky}."],
    ),
    (
        PATIENT,
        """[Patient|Pat.] {patient}, born {born}, [lies|is|stays] in room {room}.
{patient} ([born |*]{born}) was seen by Dr. {doctor}; pulse {pulse}, weight {weight} kg.
Dr. {doctor} [examined|treated|saw] {patient}, {smoker}.
{patient} is {smoker}, weighs {weight} kg and has a pulse of {pulse}.
{patient} is allergic to {allergies}; insurance number {insurance}.
[Admitted|Discharged]: {patient}, room {room}, insurance {insurance}, Dr. {doctor}""",
        ["Allergies: {allergies}.", "Insurance: {insurance}.", "Born on {born}.", "The patient is {smoker}."],
    ),
    (
        COURSE,
        """{teacher} teaches {title} [in {language}|] on {day} at {time}[ in room {room}|].
[The course|The lecture] {title} [gives|is worth] {credits} credits and is {level}.
{title} ({language}, {credits} credits), {teacher}, {day} {time}, {room}
{students} students [attend|take|signed up for] {title} with {teacher}.
{title} with {teacher} is {level} and [held|taught] in {language}.""",
        ["It is worth {credits} credits.", "Room {room}.", "There are {students} students.", "It is {level}."],
    ),
    (
        SONG,
        """"{title}" by {artist} [came out|was released|appeared] in {year}.
{artist} [sang|recorded|released] {title} [on the album {album}|] in {year}.
{artist} - {title} ({album}, {year}), {minutes} min
I [like|watched|heard] "{title}" by {artist}, {minutes} minutes [long|], rating {rating}.
{title} is sung in {language} by {artist}. [Genres|Tags]: {genres}.""",
        ["It lasts {minutes} minutes.", "Genres: {genres}.", "I give it {rating}.", "It is on the album {album}."],
    ),
    (
        SERVER,
        """{date} {time} {level} {host}: {message}
[{time}|{date}T{time}] {level} {ip} {user} {message}
{level}: {message} ({file}, {seconds}s)
{host} ({ip}:{port}) is {up}.
[The server|Host|Machine] {host} at {ip} [listens on|uses] port {port} and is {up}.
{user} logged in [on|to] {host} from {ip} at {time}.
{ip} - {user} [on {date}|] "GET {file}" {code} {seconds}
{host} kernel: {message}; code {code}
{date} {time} user={user} host={host} status={code} msg="{message}" """,
        ["File: {file}.", "It took {seconds} seconds.", "The exit code was {code}.", "It is {up}."],
    ),
    (
        RELEASE,
        """{author} released {project} {version} on {date}.
{project} {version} [is out|was published]: {note}. See {url}
commit {commit} by {author} on {date}: {note}
{author} pushed {commit} to {branch}: {note} ({files} files)
[The latest version of|Version of] {project} is {version}[, see {url}|].
{commit} {branch} {author} {note}
{project} v{version}, {date}, {url}""",
        ["{files} files were changed.", "Website: {url}.", "Commit {commit}.", "Maintainer: {author}."],
    ),
    (
        PLACE,
        """[The restaurant|The hotel|The shop] {name} is at {address}[ in {city}|].
{name}, {address}, {city}, {phone}
{name} in {city} opens at {opens} and closes at {closes}.
[Visit|Find|See] {name} at {website} or call {phone}.
{name} ({rating} stars) has {rooms} [rooms|tables] and is {open}.
The hotel {name} in {city}, {address}, [has|with] {rooms} rooms, is {open}.""",
        [
            "[Phone|Call]: {phone}.",
            "[Web|Website]: {website}.",
            "It is {open}.",
            "Rating: {rating}.",
            "Open from {opens} to {closes}.",
        ],
    ),
    (
        MESSAGE,
        """From: {sender}\\nTo: {to}\\nSubject: {subject}\\n\\n{body}
From: {sender} <{email}>\\nDate: {date}\\nSubject: {subject}\\n\\n{body}\\n{sender}
{sender} wrote to {to} on {date}: "{body}"
[{date} {time}|{time}] {sender}: {body}
{sender}: "{body}" ({date})
Hi {to},\\n{body}.\\n[Best|Regards|Yours],\\n{sender}
{sender} ({email}) sent {to} {files} at {time}. Subject: {subject}""",
        ["Sent at {time}.", "[Attached|Attachments]: {files}.", "Reply to {email}."],
    ),
]
