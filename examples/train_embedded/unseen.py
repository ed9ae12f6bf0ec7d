"""Families of texts that the model never trains on, nor on the keys asked for: what `benchmarks/model.py` calls unseen."""

from sentences import role

PAYMENT = dict(
    payer=role("name", "string", "payer debtor remitter"),
    payee=role("name", "string", "payee beneficiary creditor"),
    sum=role("price", "number", "sum transferred paid_in"),
    bank=role("company", "string", "bank institute"),
    account=role("code", "string", "iban account_number"),
    purpose=role("title", "string", "purpose memo"),
    booked=role("date", "date", "booked value_date"),
    fee=role(
        "flag", "boolean", "free_of_charge", true="free of charge; without a fee", false="with a fee; subject to a fee"
    ),
)
HOUSE = dict(
    street=role("address", "string", "lies_at house_at"),
    town=role("city", "string", "village municipality"),
    rent=role("price", "number", "rent monthly_rent"),
    size=role("integer", "integer", "square_metres floor_area"),
    rooms=role("quantity", "integer", "bedrooms room_count"),
    landlord=role("name", "string", "landlord let_by"),
    from_=role("date", "date", "vacant_from move_in"),
    balcony=role(
        "flag",
        "boolean",
        "balcony has_balcony",
        true="with a balcony; has a balcony",
        false="without a balcony; no balcony",
    ),
)
MATCH = dict(
    home=role("city", "string", "home_team hosts"),
    away=role("city", "string", "away_team visitors"),
    scorer=role("name", "string", "scorer goal_by"),
    referee=role("name", "string", "referee whistled_by"),
    goals=role("quantity", "integer", "goals goals_scored"),
    crowd=role("integer", "integer", "crowd attendance spectators"),
    played=role("date", "date", "played match_day"),
    outcome=role(
        "choice", "enum", "outcome final_outcome", won="won; victory", lost="lost; defeat", drawn="a draw; drawn"
    ),
)
PET = dict(
    pet=role("first", "string", "pet animal_name"),
    keeper=role("name", "string", "keeper belongs_to"),
    breed=role("colour", "string", "coat fur"),
    vet=role("name", "string", "vet treated_by"),
    kilos=role("number", "number", "kilos weighs"),
    chip=role("code", "string", "chip chip_number"),
    born=role("date", "date", "birth born_on"),
    vaccinated=role(
        "flag", "boolean", "vaccinated", true="vaccinated; has had its shots", false="not vaccinated; without shots"
    ),
)
LOAN = dict(
    reader=role("name", "string", "reader borrower lent_to"),
    volume=role("title", "string", "volume borrowed"),
    shelf=role("code", "string", "shelf shelfmark"),
    due=role("date", "date", "return_by due_back"),
    branch=role("city", "string", "library_branch lending_branch"),
    fine=role("price", "number", "fine overdue_fee"),
    renewals=role("quantity", "integer", "renewals renewed_times"),
    reserved=role("flag", "boolean", "reserved on_hold", true="reserved; on hold", false="not reserved; free to lend"),
)

UNSEEN = [
    (
        PAYMENT,
        """{payer} transferred {sum} to {payee} on {booked}.
{sum} from {payer} to {payee}, purpose {purpose}
[We credited|We booked] {sum} to the account {account} of {payee} at {bank}.
{bank}: {payer} sent {sum} on {booked}, {fee}.
The transfer of {sum} to {payee} ({account}) was {fee}.""",
        ["Purpose: {purpose}.", "Booked on {booked}.", "Account {account}."],
    ),
    (
        HOUSE,
        """[To let|For rent]: {rooms} rooms, {size} square metres, {street}, {town}, {rent} a month.
{landlord} lets [a flat|a house] in {town} for {rent}, {balcony}, from {from_}.
The flat at {street} has {rooms} rooms and {size} m2, {balcony}.
Flat in {town}: {rent}, {size} m2, vacant from {from_}, contact {landlord}""",
        ["Vacant from {from_}.", "Landlord: {landlord}.", "It comes {balcony}."],
    ),
    (
        MATCH,
        """{home} played against {away} on {played}; {scorer} scored {goals} goals.
{home} - {away}: {goals} goals by {scorer}, {crowd} spectators
For {home} the match against {away} was {outcome}, referee {referee}.
{crowd} people saw {scorer} score {goals} times [for|in] {home} on {played}.
{referee} whistled the match between {home} and {away} in front of {crowd} people.""",
        ["Referee: {referee}.", "{crowd} people watched."],
    ),
    (
        PET,
        """{pet}, a {breed} cat of {keeper}, weighs {kilos} kilos and is {vaccinated}.
{keeper} brought {pet} to {vet}; chip {chip}.
[Found|Lost]: {pet}, {breed}, chip number {chip}. Please call {keeper}.
{vet} saw {pet} ({born}), {kilos} kg, {vaccinated}.""",
        ["Chip: {chip}.", "Born on {born}.", "It is {vaccinated}."],
    ),
    (
        LOAN,
        """{reader} borrowed {volume} from the branch in {branch}, to be returned by {due}.
{volume} ({shelf}) is lent to {reader} until {due}.
{reader} must pay {fine} for {volume}, renewed {renewals} times.
The volume {volume} at shelf {shelf} in {branch} is {reserved}.""",
        ["Due on {due}.", "The fine is {fine}.", "It is {reserved}."],
    ),
]
