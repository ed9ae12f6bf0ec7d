"""Families made up on the spot: who did what to whom, when, where and for how much, with keys that follow from the words.

English says roles in its forms: `examined` -> the examiner, the examinee, examined_by, examined_on, examine_before. A family
here is one verb (every third one does not exist) and a few phrases after it; its keys are formed as people form them. So what has to be
learnt is the rule and not a list of keys.
"""

import random
import re

from sentences import Fact, Role, expand, state
from told import TYPES
from values import Values, invented

# base past agent patient: a person does it to another
PERSON = """train trained trainer trainee|nominate nominated nominator nominee|advise advised adviser advisee|employ employed employer employee
examine examined examiner examinee|invite invited inviter invitee|evacuate evacuated evacuator evacuee|test tested tester testee
appoint appointed appointer appointee|interview interviewed interviewer interviewee|draft drafted drafter draftee|question questioned questioner -
elect elected elector electee|select selected selector selectee|enrol enrolled enroller enrollee|rescue rescued rescuer -|follow followed follower -
represent represented representative -|defend defended defender -|accuse accused accuser -|challenge challenged challenger -|help helped helper -
supervise supervised supervisor -|counsel counselled counsellor counsellee|guide guided guide -|coach coached coach coachee|succeed succeeded successor -
photograph photographed photographer -|paint painted painter -|admire admired admirer -|call called caller callee|teach taught teacher -
accompany accompanied companion -|replace replaced replacement -|visit visited visitor -|inform informed informer -|dismiss dismissed - -
protect protected protector protectee|sponsor sponsored sponsor sponsee|abduct abducted abductor abductee|observe observed observer -
escort escorted escort -|praise praised - -|warn warned warner -|arrest arrested - arrestee|tutor tutored tutor tutee|greet greeted greeter -
assist assisted assistant -|attack attacked attacker -|convince convinced - -|recruit recruited recruiter recruit|suspect suspected - suspect
screen screened screener -|hunt hunted hunter -|feed fed feeder -|trust trusted - trustee|absent excused - absentee|deport deported - deportee
honour honoured - honouree|nurse nursed nurse -|host hosted host guest|hire hired - hire|judge judged judge -|lead led leader -"""
# base past agent: a thing is what it is done to
THING = """paint painted painter|build built builder|design designed designer|invent invented inventor|compose composed composer
direct directed director|produce produced producer|edit edited editor|found founded founder|discover discovered discoverer|draw drew -
carve carved carver|bake baked baker|clean cleaned cleaner|inspect inspected inspector|approve approved approver|sign signed signer|measure measured -
install installed installer|launch launched launcher|open opened opener|close closed -|record recorded -|review reviewed reviewer
translate translated translator|illustrate illustrated illustrator|publish published publisher|print printed printer|repair repaired repairer
restore restored restorer|polish polished polisher|buy bought buyer|steal stole -|find found finder|hide hid -|lose lost loser|guard guarded guard
own owned owner|use used user|collect collected collector|count counted counter|copy copied copier|store stored -|move moved mover|load loaded loader
order ordered -|check checked checker|plan planned planner|decorate decorated decorator|test tested tester|fix fixed fixer|create created creator
carry carried carrier|weave wove weaver|sew sewed -|plant planted planter|harvest harvested harvester|grow grew grower|import imported importer
export exported exporter|assemble assembled assembler|pack packed packer|wash washed washer|read read -|analyse analysed analyst|solve solved solver
propose proposed proposer|reject rejected -|program programmed programmer|maintain maintained maintainer|report reported reporter|cancel cancelled -
start started starter|finish finished finisher|rate rated rater|tag tagged tagger|delete deleted -|upload uploaded uploader|download downloaded -
exhibit exhibited exhibitor|insure insured insurer|sponsor sponsored sponsor|curate curated curator|bury buried -|choose chose -|break broke -"""
# base past agent recipient: a thing goes from one to another, words for whom it goes to and whom it comes from
GIVING = """give gave giver|hand handed -|ship shipped shipper|mail mailed mailer|deliver delivered deliverer|award awarded awarder awardee
grant granted grantor grantee|sell sold seller buyer|offer offered offerer offeree|write wrote writer|forward forwarded forwarder
donate donated donor donee|present presented presenter|issue issued issuer|assign assigned assigner assignee|entrust entrusted - -
promise promised promiser promisee|pass passed -|dispatch dispatched dispatcher|submit submitted submitter|license licensed licensor licensee
bring brought bringer|send sent sender addressee|serve served server|show showed -|refer referred referrer -|allot allotted - allottee
recommend recommended recommender -|bequeath bequeathed - heir|post posted poster -|supply supplied supplier -|pledge pledged pledger pledgee
supply supplied supplier customer|present presented presenter recipient|give gave donor receiver|send sent shipper consignee
sell sold vendor purchaser|sell sold trader client|give gave source target|hand handed from_whom to_whom|teach taught teacher learner"""
# What else is said: words before the slot, kind, keys ({p} the verb's past, {b} its base)
PHRASES = """on {x}=date=date {p} {p}_on date_{p} when {p}_date day
by {x}=date={b}_by deadline {b}_before until latest
until {x}=date=until valid_until ends end_date to_date
from {x}=date=from from_date starts valid_from beginning
in {x}=city=city place {p}_in where location
near {x}=city=near nearby close_to
at {x}=company=at {p}_at firm company
for {x}=company=for_company for client on_behalf_of
for {x}=price=price worth value {p}_for amount
at {x}=time=at time {p}_at hour clock_time
under the number {x}=code=number no reference code
with the code {x}=code=code access_code code_number
under the title {x}=title=title titled called heading
on the subject {x}=title=subject topic about
because of {x}=title=because reason cause
in the room {x}=code=room room_number
with {x}=name=with together_with companion assisted_by
instead of {x}=name=instead_of in_place_of replaces
for {x}=name=for in_favour_of for_whom
before {x}=name=before ahead_of
with the help of {x}=name=helper helped_by supported_by
in the presence of {x}=name=witness in_presence_of witnessed_by
on behalf of {x}=name=on_behalf_of for principal
on the advice of {x}=name=advised_by adviser on_advice_of
in {x}=year=year in_year year_{p}
from {x}=city=from origin from_place
through {x}=city=via through by_way_of
in {x}=colour=colour color"""
# "forty visitors", "three wheels": what is counted
COUNTED = """passenger wheel towel listener customer page ticket apple brick window engine worker soldier child player dancer singer candidate
viewer stone bucket chair file record row error warning request session message photo song lesson question answer vote seat tree cow sheep boat
car bike van flight parcel letter crate barrel sack tonne mile metre inch hour minute second day week month litre gallon volt watt step
floor storey cabin oven lamp shirt button coin stamp map poem chapter lecture course module packet byte pixel node thread core server
patient doctor guest waiter cook driver pilot sailor member tourist pupil student teacher participant sponsor donor judge bench desk door""".split()
HAS = """garden lift cellar garage pool terrace chimney heater filter alarm lock handle sticker receipt permit password backup password
helmet license warranty breakfast lunch towel toilet shower kitchen fridge oven camera engine battery roof sail motor light window
cover label logo index appendix photo caption subtitle translation signature stamp discount deposit guide driver translator parking wifi""".split()
IS = """valid public visible active complete legal safe stable dirty empty broken sharp frozen open ripe dry heated furnished signed certified
approved trained licensed encrypted compressed archived deleted tested verified sealed locked insured inspected cleaned repaired washed
married retired employed injured armed hungry awake local foreign digital printed illustrated numbered dated toxic edible mature
ready modern famous permanent official private secret perfect soluble readable writable portable""".split()
LABELS = """topic reason motto theme remark nickname slogan task mission target brand series chapter category goal_name result rule level
password team group class region district station county model method material tool engine theory language colour mood""".split()
MEASURES = """metres long=length long length_m metres|cm wide=width wide width_cm|metres high=height high height_m|km away=distance away distance_km
grams heavy=weight heavy grams|years old=age old years_old|feet deep=depth deep feet_deep|degrees warm=temperature warm degrees
minutes late=delay late minutes_late|percent full=fill_level full percent_full|kW strong=power strong kw"""


def _words(table: str) -> list[list[str]]:
    return [line.split() for line in re.split(r"[|\n]", table)]


VERBS = dict(person=_words(PERSON), thing=_words(THING), giving=_words(GIVING))
PHRASES_READ = [line.split("=") for line in PHRASES.split("\n")]


def _verb(rng: random.Random, kind: str) -> tuple[str, str, str | None, str | None]:
    """base, past, agent noun, patient or recipient noun: of the table, or of a verb that does not exist."""
    if rng.random() < 0.35:
        base = invented(rng, (1, 2)).rstrip("aeiou") or "drom"
        return base, base + "ed", base + rng.choice(["er", "er", "or"]), base + "ee"
    base, past, agent, *other = rng.choice(VERBS[kind])
    word = lambda w: None if w == "-" else w  # noqa: E731
    return base, past, word(agent), word(other[0]) if other else None


def _core(rng: random.Random) -> tuple[str, dict[str, Role], str, str]:
    """The sentence's core, its roles, and the verb's base and past."""
    kind = rng.choice(["person", "thing", "giving", "giving"])
    base, past, agent, other = _verb(rng, kind)
    who = [agent or f"who_{past}", f"{past}_by", *([agent, f"{agent}_name"] if agent else ["by"])]
    doer = rng.choice(["name", "name", "name", "first", "company"])
    object_kind = rng.choice(["product", "title", "code", "label", "price", "tag"])
    what = {"product": "item object thing article", "title": "title what work", "code": "number code id", "label": "what thing name",
            "price": "amount value", "tag": "thing what item"}[object_kind].split()  # fmt: skip
    if object_kind != "price":
        what += [f"{past}_{rng.choice(['item', 'object', 'thing'])}", f"what_was_{past}", past]
    passive = {"drew": "drawn", "stole": "stolen", "hid": "hidden", "wove": "woven", "grew": "grown", "chose": "chosen", "broke": "broken",
               "gave": "given", "wrote": "written", "showed": "shown"}.get(past, past)  # fmt: skip
    a = Role(doer, "string", who)
    if kind == "person":
        b = Role("name", "string", [other or f"{past}_person", *([other] * 2 if other else [f"person_{past}", past, "whom"])])
        frames = ["{a} %p {b}", "{b} was %p by {a}", "{b}, %p by {a},", "{a} has %p {b}", "{a} is to %b {b}", "%P by {a}: {b}",
                  "{b} ([by|%p by] {a})", "{a} -> {b}", "{a}, who %p {b},"]  # fmt: skip
        if agent:
            frames += [f"{{b}} has {{a}} as {agent}", f"{{a}} is the {agent} of {{b}}", f"the {agent} {{a}} and {{b}}"]
        if other:
            frames += [f"{{b}} is {{a}}'s {other}", f"the {other} of {{a}} is {{b}}", f"{other} {{b}}, {agent or 'by'} {{a}}"]
        roles = dict(a=a, b=b)
    elif kind == "thing":
        b = Role(object_kind, TYPES.get(object_kind, "string"), what)
        frames = ["{a} %p {b}", "{b} was %q by {a}", "{b}, %q by {a},", "{b} by {a}", "{a} has %q {b}", "{b} is to be %q by {a}", "%P: {b} ({a})",
                  "the {b} that {a} %p", "{b} was %q; it was {a}"]  # fmt: skip
        if agent:
            frames += [f"{agent} of {{b}}: {{a}}", f"{{a}}, {agent} of {{b}},", f"{{b}} has {{a}} as {agent}", f"the {agent} {{a}}: {{b}}"]
        roles = dict(a=a, b=b)
    else:
        b = Role(object_kind, TYPES.get(object_kind, "string"), what)
        to = [other or "receiver", f"{past}_to", *([other, other] if other else ["recipient", "to", "given_to", "whom"])]
        c = Role(rng.choice(["name", "name", doer]), "string", to)
        frames = ["{a} %p {b} to {c}", "{a} %p {c} {b}", "{b} was %q to {c} by {a}", "{c} got {b} from {a}", "{b} from {a} to {c}",
                  "{c} received {b}, %q by {a},", "from {a} to {c}: {b}", "to {c}, from {a}: {b}", "for {c}: {b}, %q by {a}",
                  "{b} was %q to {c}", "{a} is to %b {b} to {c}", "{c} has {b} from {a}", "{b} went from {a} to {c}"]  # fmt: skip
        if agent:
            frames += [f"{agent} {{a}}, {other or 'recipient'} {{c}}, {{b}}", f"{{b}} for {{c}} ({agent}: {{a}})"]
        roles = dict(a=a, b=b, c=c)
    frame = rng.choice(frames).replace("%P", passive.capitalize()).replace("%p", past).replace("%q", passive).replace("%b", base)
    return frame, roles, base, past


def _extra(rng: random.Random, base: str, past: str) -> tuple[str, Role]:
    """One more phrase or sentence about `{x}`, and its role."""
    r = rng.random()
    if r < 0.5:
        words, kind, keys = rng.choice(PHRASES_READ)
        keys = [key.format(p=past, b=base) for key in keys.split()]
        return words, Role(kind, TYPES.get(kind, "string"), keys)
    if r < 0.65:
        one = rng.choice(COUNTED)
        many = {"child": "children", "sheep": "sheep", "inch": "inches", "bench": "benches"}.get(one, one + "s")
        phrase = rng.choice([f"with {{x}} {many}", f"; {{x}} {many}", f", {{x}} {many},", f"and {{x}} {many}"])
        keys = [many, many, f"{one}_count", f"number_of_{many}", f"{many}_{past}", f"num_{many}", f"n_{many}"]
        return phrase, Role("quantity", "integer", keys)
    if r < 0.8:
        if rng.random() < 0.5:
            noun = rng.choice(HAS)
            an = "an" if noun[0] in "aeiou" else "a"
            ways = {"true": [f"with {an} {noun}", f"with {noun}", f"including {an} {noun}"],
                    "false": [f"without {an} {noun}", f"without {noun}", f"no {noun}", f"with no {noun}"]}  # fmt: skip
            keys = [noun, f"has_{noun}", f"with_{noun}", f"{noun}_included"]
        else:
            word = rng.choice(IS)
            ways = {"true": [f"and it is {word}", f"({word})", f"which is {word}", f"; {word}"],
                    "false": [f"and it is not {word}", f"(not {word})", f"which is not {word}", f"; not {word}", f"; not yet {word}"]}  # fmt: skip
            keys = [word, f"is_{word}", word]
        return "{x}", Role("flag", "boolean", keys, ways)
    if r < 0.9:
        label = rng.choice(LABELS) if rng.random() < 0.7 else invented(rng)
        kind = rng.choice(["title", "label", "code", "name", "sentence"])
        glue = rng.choice([", %s {x}", "; %s: {x}", "(%s {x})", "; the %s is {x}", ", with the %s {x}", "; %s = {x}"])
        return glue % label.replace("_", " "), Role(kind, "string", [label, f"{label}_name", f"the_{label}", label])
    said, keys = rng.choice(re.split(r"[|\n]", MEASURES)).split("=")
    kind = rng.choice(["quantity", "integer", "number"])
    return rng.choice([f", {{x}} {said}", f"({{x}} {said})", f"; it is {{x}} {said}"]), Role(kind, TYPES[kind], keys.split())


def relation(rng: random.Random, values: Values) -> tuple[str, dict[str, Fact], dict[str, Role]]:
    """A text of a family made up for it, its facts, and the roles."""
    text, roles, base, past = _core(rng)
    for k in range(rng.choice([0, 1, 1, 2, 2, 3])):
        phrase, role = _extra(rng, base, past)
        taken = {key for other in roles.values() for key in other.keys}
        if taken & set(role.keys):
            continue
        phrase, name = phrase.replace("{x}", "{x%d}" % k), f"x{k}"
        roles[name] = role
        if k == 0 and phrase[0] not in ",;(" and not phrase.startswith(("and", "which")) and role.kind != "flag" and rng.random() < 0.2:
            text = f"{phrase} {text}" if rng.random() < 0.6 else f"{phrase}: {text}"
        else:
            text += phrase if phrase[0] in ",;" else " " + phrase
    text, found = expand(rng, text).strip().rstrip(","), {}
    text = text[:1].upper() + text[1:] + rng.choice(["", "."])
    for name in re.findall(r"{(\w+)}", text):
        fact, said = state(rng, values, roles[name])
        if fact.key not in {other.key for other in found.values()}:
            found[name] = fact
        text = text.replace("{" + name + "}", said)
    for wrong, right in ((" ;", ";"), (" ,", ","), (",.", "."), (",,", ","), (",;", ";")):
        text = text.replace(wrong, right)
    return text, found, roles
