"""Values that records are made of: each kind gives a value as JSON holds it and as a sentence says it.

Half of all names, places and codes are invented on the spot, so that they have to be read off the text:
a model that has only seen a list of cities recalls cities, one that cannot know the word copies it.
"""

import random
import string

FIRST = """Anna Ben Clara David Elena Felix Grace Hugo Ines Jonas Karin Liam Maria Noah Olga Paul Rosa Samuel Tara Victor Wendy Yusuf Zoe
Alice Bob Carol Daniel Emma Frank Gina Henry Isabel Jack Kate Leo Mia Nina Oscar Petra Quinn Ruth Sofia Tom Ursula Vera William Xenia
Aisha Bilal Chen Diego Esther Fatima Giorgio Hana Ivan Jun Kofi Lucia Mateo Nadia Omar Priya Ravi Sanne Tariq Uma Wei Yuki Amir Björn
Chloé Dmitri Eva Farid Greta Haruto Ingrid José Kenji Lars Małgorzata Nikolai Olivia Pierre Rachel Stefan Thandi Viktor Zainab James
John Mary Linda Robert Michael Sarah Susan Thomas Laura Peter Julia Mark Lisa Martin Nora Simon Helen George Irene Adam Lucy""".split()
LAST = """Keller Smith Müller Garcia Rossi Novak Tanaka Silva Okafor Andersson Dubois Kowalski Ivanov Haddad Patel Nguyen Kim Schmidt
Johnson Brown Miller Davis Wilson Moore Taylor Clark Lewis Walker Hall Young King Wright Scott Green Baker Adams Nelson Hill Campbell
Mitchell Roberts Carter Phillips Evans Turner Torres Parker Collins Edwards Stewart Morris Murphy Cook Rogers Reed Bailey Cooper
Becker Wagner Hofmann Weber Fischer Meyer Schulz Richter Klein Wolf Braun Vogel Lehmann Huber Bauer Moser Frei Brunner Steiner
Lopez Martinez Fernandez Moreno Alvarez Romero Costa Ferreira Oliveira Santos Pereira Bianchi Ferrari Greco Conti Marino Lindqvist
Nakamura Sato Suzuki Yamamoto Zhang Liu Huang Singh Khan Ali Hassan Mensah Diallo Abebe O'Brien Jensen Nielsen Virtanen Horvat""".split()
CITIES = """Zurich Berlin Paris London Madrid Rome Vienna Prague Warsaw Lisbon Dublin Oslo Stockholm Helsinki Copenhagen Amsterdam Brussels
Geneva Basel Bern Lausanne Munich Hamburg Cologne Frankfurt Stuttgart Leipzig Dresden Lyon Marseille Nice Toulouse Bordeaux Milan Turin
Naples Florence Bologna Venice Barcelona Valencia Seville Porto Athens Istanbul Cairo Lagos Nairobi Accra Tunis Casablanca Dakar Tokyo
Osaka Kyoto Seoul Busan Beijing Shanghai Taipei Bangkok Hanoi Jakarta Manila Mumbai Delhi Chennai Karachi Dhaka Sydney Melbourne Perth
Auckland Toronto Montreal Vancouver Boston Chicago Seattle Denver Austin Dallas Houston Miami Atlanta Portland Phoenix Detroit Lima
Bogotá Quito Santiago Montevideo Budapest Bucharest Sofia Zagreb Riga Vilnius Tallinn Kraków Gdańsk Bristol Leeds Glasgow Edinburgh""".split()
TWO_WORD_CITIES = [
    "New York",
    "San Francisco",
    "Los Angeles",
    "São Paulo",
    "Buenos Aires",
    "Mexico City",
    "Cape Town",
    "Hong Kong",
    "Tel Aviv",
    "Den Haag",
    "St. Gallen",
]
COUNTRIES = """Switzerland Germany France Italy Spain Portugal Austria Poland Norway Sweden Finland Denmark Ireland Greece Turkey Egypt
Nigeria Kenya Ghana Japan Korea China Vietnam Thailand India Pakistan Australia Canada Brazil Chile Peru Colombia Mexico Hungary""".split()
JOBS = """teacher nurse engineer carpenter lawyer baker pilot chemist designer plumber journalist architect farmer electrician surgeon
translator photographer accountant librarian welder violinist economist dentist gardener programmer chef judge biologist""".split()
ADJECTIVES = """red blue green black white silver small large wooden steel ceramic leather cotton folding wireless portable vintage soft heavy
light organic electric compact waterproof second-hand dark mini double""".split()
NOUNS = """chair table lamp keyboard mouse notebook bottle backpack jacket shoe bicycle helmet kettle toaster blender monitor printer camera
tent blanket pillow mug plate knife pen desk shelf sofa mirror clock drill hammer ladder rope scarf glove watch ring guitar speaker
headset charger cable router tablet phone laptop candle basket umbrella""".split()
TAGS = """urgent review draft billing legal travel food music sport home work family school health garden design python linux cloud data
security network mobile web backend frontend testing docs release beta internal public archive finance hiring science art""".split()
COMPANIES = [
    "Acme",
    "Globex",
    "Initech",
    "Northwind",
    "Contoso",
    "Hooli",
    "Umbrella",
    "Vandelay",
    "Siemens",
    "Nestlé",
    "Volvo",
    "Nokia",
    "Sony",
    "Bosch",
    "Roche",
]
SUFFIXES = ["", "", " Inc", " AG", " GmbH", " Ltd", " Labs", " Systems", " & Sons", " Group"]
TITLES = """silent river winter garden last train hidden city burning sky lost letter broken mirror golden hour paper moon distant shore
empty house summer storm iron bridge long road quiet night salt wind glass island""".split()
MONTHS = "January February March April May June July August September October November December".split()
DAYS = "Monday Tuesday Wednesday Thursday Friday Saturday Sunday".split()
UNITS = "zero one two three four five six seven eight nine ten eleven twelve".split()


COLOURS = "red blue green black white silver yellow orange purple brown grey pink gold beige turquoise violet".split()
LANGUAGES = """English German French Italian Spanish Portuguese Dutch Polish Turkish Arabic Japanese Korean Chinese Hindi Swahili Greek
Finnish Swedish Danish Norwegian Czech Hungarian Romanian Russian Vietnamese Thai""".split()
DISHES = """soup stew curry salad pizza pasta risotto bread cake pie omelette pancakes dumplings noodles sandwich burger tacos porridge
lasagna gratin goulash paella falafel hummus ratatouille pudding muffins cookies""".split()
PLAIN = """the a and of to in is it was for on with not please we they you that this from have has at by again after before today new old
cannot does work very late soon good bad long page file user data system order room time day week help need check send back open close
start stop wait lost found broken slow fast first second last missing because while until two three more less every some all""".split()


def in_words(n: int) -> str:
    """0 … 9999 in English words."""
    teens = "thirteen fourteen fifteen sixteen seventeen eighteen nineteen".split()
    tens = "twenty thirty forty fifty sixty seventy eighty ninety".split()
    if n <= 12:
        return UNITS[n]
    if n < 20:
        return teens[n - 13]
    if n < 100:
        return tens[n // 10 - 2] + (f"-{UNITS[n % 10]}" if n % 10 else "")
    if n < 1000:
        return f"{UNITS[n // 100]} hundred" + (f" and {in_words(n % 100)}" if n % 100 else "")
    return f"{in_words(n // 1000)} thousand" + (f" {in_words(n % 1000)}" if n % 1000 else "")


def held_out(word: str) -> bool:
    """One word in ten is kept out of training, to measure on."""
    return sum(map(ord, word)) % 10 == 7


def draw(rng: random.Random, pool: list[str], test: bool = False) -> str:
    """One word of the pool: of its held-out part when testing, of the rest when training."""
    while True:
        word = rng.choice(pool)
        if held_out(word) == test or not any(map(held_out, pool)):
            return word


def invented(rng: random.Random, syllables: tuple[int, int] = (2, 3)) -> str:
    """A pronounceable word that does not exist."""
    parts = [
        rng.choice("b c d f g h j k l m n p r s t v w z br ch dr fl gr kl pr sh st th tr".split())
        + rng.choice("a e i o u a e i o ai ea ou ie".split())
        for _ in range(rng.randint(*syllables))
    ]
    return "".join(parts) + rng.choice(["", "", "n", "r", "s", "l", "k", "nd", "m"])


def blend(rng: random.Random, pool: list[str]) -> str:
    """The head of one word and the tail of another: as odd as real names are, and in no list."""
    a, b = rng.choice(pool), rng.choice(pool)
    return a[: rng.randint(1, max(1, len(a) - 1))] + b[rng.randint(min(1, len(b) - 1), len(b) - 1) :].lower()


def code(rng: random.Random) -> str:
    """An identifier of letters and digits, as orders, tickets and rooms have them."""
    letters = "".join(rng.choices(string.ascii_uppercase, k=rng.randint(1, 4)))
    digits = "".join(rng.choices(string.digits, k=rng.randint(2, 6)))
    return rng.choice(
        [
            letters + "-" + digits,
            letters + digits,
            digits,
            digits + letters,
            "#" + digits,
            "".join(rng.choices(string.ascii_lowercase + string.digits, k=rng.randint(4, 9))),
        ]
    )


class Values:
    """`kind(name)` gives (value, text). All draws come from one seeded generator."""

    def __init__(self, rng: random.Random, test: bool = False):
        self.rng, self.test = rng, test

    def word(self, pool: list[str], share_invented: float = 0.4) -> str:
        if self.rng.random() < share_invented:
            return invented(self.rng).capitalize() if self.rng.random() < 0.5 else blend(self.rng, pool)
        return draw(self.rng, pool, self.test)

    def kind(self, name: str) -> tuple[object, str]:
        value = getattr(self, name)()
        return value if isinstance(value, tuple) else (value, str(value))

    def first(self):
        return self.word(FIRST)

    def name(self):
        r, middle = self.rng.random(), ""
        if r < 0.05:
            middle = self.rng.choice(string.ascii_uppercase) + ". "
        elif r < 0.09:
            middle = self.rng.choice(["van ", "de ", "von ", "al-", "van der ", "Mc"])
        elif r < 0.14:
            middle = self.word(FIRST) + " "
        elif r < 0.17:
            return f"{self.word(FIRST)}-{self.word(FIRST)} {self.word(LAST)}"
        elif r < 0.2:
            return f"{self.word(FIRST)} {self.word(LAST)}-{self.word(LAST)}"
        elif r < 0.28:
            return self.word(FIRST)
        return f"{self.word(FIRST)} {middle}{self.word(LAST)}"

    def city(self):
        r = self.rng.random()
        if r < 0.06:
            return self.rng.choice(TWO_WORD_CITIES)
        if r < 0.12:
            before = self.rng.choice(
                ["San", "New", "Saint", "Port", "El", "Bad", "Santa", "La", "Fort", "North", "Upper"]
            )
            return f"{before} {self.word(CITIES, 0.7)}"
        return self.word(CITIES)

    def country(self):
        return self.word(COUNTRIES, 0.15)

    def job(self):
        return draw(self.rng, JOBS, self.test)

    def company(self):
        return self.word(COMPANIES) + self.rng.choice(SUFFIXES)

    def age(self):
        n = self.rng.randint(1, 99)
        return n, in_words(n) if self.rng.random() < 0.06 else str(n)

    def year(self):
        return self.rng.randint(1950, 2035)

    def integer(self):
        return self.rng.randint(0, 10 ** self.rng.randint(1, 5))

    def quantity(self):
        n = self.rng.choice([self.rng.randint(1, 12), self.rng.randint(1, 12), self.rng.randint(13, 500)])
        r = self.rng.random()
        return n, (in_words(n) if (n <= 12 and r < 0.5) or r < 0.08 else str(n))

    def price(self):
        whole, cents = self.rng.randint(1, 10 ** self.rng.randint(1, 4)), self.rng.randint(1, 99)
        exact = self.rng.random() < 0.3
        value, text = (whole, str(whole)) if exact else (round(whole + cents / 100, 2), f"{whole}.{cents:02d}")
        return value, self.rng.choice(["${}", "${}", "€{}", "£{}", "{} dollars", "{} euros", "CHF {}", "{} €"]).format(
            text
        )

    def number(self):
        value = round(self.rng.uniform(0, 10 ** self.rng.randint(0, 3)), self.rng.randint(1, 2))
        return (-value, f"-{value}") if self.rng.random() < 0.1 else (value, str(value))

    def email(self):
        a, b = self.word(FIRST).lower(), self.word(LAST).lower()
        user = self.rng.choice([a, f"{a}.{b}", f"{a[0]}{b}", f"{a}{self.rng.randint(1, 99)}", f"{a}_{b}"])
        host = self.rng.choice(["example", "mail", "post", "acme", invented(self.rng)])
        return f"{user}@{host}.{self.rng.choice(['com', 'org', 'net', 'ch', 'de', 'io', 'co.uk'])}"

    def phone(self):
        d = lambda k: "".join(self.rng.choices(string.digits, k=k))  # noqa: E731
        return self.rng.choice(
            [
                f"{d(3)}-{d(4)}",
                f"+{d(2)} {d(2)} {d(3)} {d(2)} {d(2)}",
                f"({d(3)}) {d(3)}-{d(4)}",
                f"0{d(2)} {d(3)} {d(2)} {d(2)}",
                d(10),
            ]
        )

    def date(self):
        rng = self.rng
        y, m, d = rng.choice([rng.randint(1950, 2039), rng.randint(2015, 2028)]), rng.randint(1, 12), rng.randint(1, 28)
        if rng.random() < 0.06 and m != 2:
            d = rng.randint(29, 30)
        iso, month = f"{y}-{m:02d}-{d:02d}", MONTHS[m - 1]
        if rng.random() < 0.25:
            return iso, iso
        th = f"{d}{'th' if 4 <= d <= 20 else {1: 'st', 2: 'nd', 3: 'rd'}.get(d % 10, 'th')}"
        return iso, rng.choice(
            [
                f"{month} {d}, {y}",
                f"{month} {d}, {y}",
                f"{d} {month} {y}",
                f"{d} {month} {y}",
                f"{month[:3]} {d}, {y}",
                f"{d} {month[:3]} {y}",
                f"{d}.{m}.{y}",
                f"{d:02d}.{m:02d}.{y}",
                f"{y}/{m:02d}/{d:02d}",
                f"{month} {th}, {y}",
                f"the {th} of {month} {y}",
                f"{d}. {month} {y}",
                f"{month[:3]} {d} {y}",
                f"{d}-{month[:3]}-{y}",
            ]
        )

    def time(self):
        h, m = self.rng.randint(0, 23), self.rng.choice([0, 5, 10, 15, 20, 30, 40, 45, 50])
        return f"{h:02d}:{m:02d}", self.rng.choice([f"{h:02d}:{m:02d}", f"{h}:{m:02d}"])

    def day(self):
        return self.rng.choice(DAYS)

    def product(self):
        return " ".join(([draw(self.rng, ADJECTIVES, self.test)] if self.rng.random() < 0.6 else []) + [self.thing()])

    def thing(self):
        return invented(self.rng) if self.rng.random() < 0.15 else draw(self.rng, NOUNS, self.test)

    def title(self):
        return " ".join(self.word(TITLES, 0.15).capitalize() for _ in range(self.rng.randint(2, 4)))

    def code(self):
        return code(self.rng)

    def text(self):
        """A few words of any sort: what a key nobody has heard of may hold."""
        pools = (FIRST, CITIES, NOUNS, TAGS, JOBS, ADJECTIVES)
        return " ".join(self.word(self.rng.choice(pools), 0.5).lower() for _ in range(self.rng.randint(1, 3)))

    def address(self):
        number, street = self.rng.randint(1, 240), self.word(LAST + CITIES, 0.5)
        kind = self.rng.choice(["Street", "Road", "Avenue", "Lane", "Square"])
        return self.rng.choice(
            [f"{number} {street} {kind}", f"{street}strasse {number}", f"{number} {street} {kind}, {self.city()}"]
        )

    def website(self):
        return self.rng.choice(["https://", "https://www.", "www.", ""]) + (
            f"{self.word(COMPANIES + CITIES, 0.6).lower()}.{self.rng.choice(['com', 'org', 'net', 'io', 'dev'])}"
            + self.rng.choice(["", "", "/" + invented(self.rng), f"/{invented(self.rng)}/{self.rng.randint(1, 999)}"])
        )

    def path(self):
        parts = [
            self.rng.choice(["src", "lib", "home", "var", "etc", "data", "docs", invented(self.rng)])
            for _ in range(self.rng.randint(1, 3))
        ]
        name = invented(self.rng) + self.rng.choice([".py", ".txt", ".json", ".csv", ".log", ".md", ".c", ".yaml"])
        return self.rng.choice(["/", "", "./"]) + "/".join([*parts, name])

    def ip(self):
        return ".".join(str(self.rng.randint(0, 255)) for _ in range(4))

    def host(self):
        return self.rng.choice(["{a}-{n:02d}", "{a}{n}", "{a}.{b}", "{a}-{b}-{n}"]).format(
            a=self.rng.choice(["web", "db", "mail", "cache", "node", invented(self.rng)]),
            b=invented(self.rng),
            n=self.rng.randint(1, 40),
        )

    def port(self):
        return self.rng.choice([80, 443, 22, 8080, 5432, self.rng.randint(1024, 65535)])

    def percent(self):
        n = self.rng.choice([self.rng.randint(1, 100), round(self.rng.uniform(0, 100), 1)])
        return n, self.rng.choice([f"{n}%", f"{n} %", f"{n} percent"])

    def sentence(self):
        """A few words as people say them: a message, a reason, a summary."""
        rng = self.rng
        words = [
            rng.choice(PLAIN) if rng.random() < 0.75 else self.word(NOUNS + ADJECTIVES, 0.3).lower()
            for _ in range(rng.randint(3, 8))
        ]
        return " ".join(words)

    def colour(self):
        return draw(self.rng, COLOURS, self.test)

    def language(self):
        return draw(self.rng, LANGUAGES, self.test)

    def dish(self):
        return " ".join(
            [self.word(ADJECTIVES + DISHES, 0.2).lower()] * (self.rng.random() < 0.5)
            + [draw(self.rng, DISHES, self.test)]
        )

    def label(self):
        """A short proper noun of no particular kind."""
        return " ".join(self.word(FIRST + CITIES + COMPANIES, 0.6) for _ in range(self.rng.choice([1, 1, 2])))

    def hash(self):
        return "".join(self.rng.choices("0123456789abcdef", k=self.rng.choice([7, 8, 12])))

    def release(self):
        return ".".join(str(self.rng.randint(0, 20)) for _ in range(self.rng.choice([2, 3, 3])))

    def tags(self):
        chosen = [self.word(TAGS, 0.3).lower() for _ in range(self.rng.randint(1, 4))]
        return chosen, listed(self.rng, chosen)

    def tag(self):
        return self.word(TAGS + NOUNS, 0.4).lower()

    def tongues(self):
        chosen = [self.language() for _ in range(self.rng.randint(1, 3))]
        return chosen, listed(self.rng, chosen)

    def paths(self):
        chosen = [self.path() for _ in range(self.rng.randint(1, 2))]
        return chosen, listed(self.rng, chosen)

    def degrees(self):
        return self.rng.randint(-20, 40)

    def people(self):
        chosen = [self.first() for _ in range(self.rng.randint(1, 4))]
        return chosen, listed(self.rng, chosen)


def listed(rng: random.Random, items: list[str]) -> str:
    """Items as a sentence lists them."""
    if len(items) == 1 or rng.random() < 0.4:
        return ", ".join(items)
    return ", ".join(items[:-1]) + " and " + items[-1]
