"""Tables of simple facts."""

CAPITALS = dict(pair.split(":") for pair in (
    "France:Paris Italy:Rome Spain:Madrid Germany:Berlin Portugal:Lisbon Austria:Vienna Greece:Athens Poland:Warsaw Norway:Oslo "
    "Sweden:Stockholm "
    "Denmark:Copenhagen Finland:Helsinki Ireland:Dublin England:London Scotland:Edinburgh Wales:Cardiff Belgium:Brussels "
    "Hungary:Budapest Russia:Moscow "
    "Ukraine:Kyiv Turkey:Ankara Egypt:Cairo Kenya:Nairobi Morocco:Rabat Japan:Tokyo China:Beijing India:New_Delhi Thailand:Bangkok "
    "Vietnam:Hanoi Iran:Tehran "
    "Iraq:Baghdad Canada:Ottawa Mexico:Mexico_City Cuba:Havana Brazil:Brasília Argentina:Buenos_Aires Chile:Santiago Peru:Lima "
    "Colombia:Bogotá "
    "Australia:Canberra Iceland:Reykjavik Romania:Bucharest Bulgaria:Sofia Croatia:Zagreb Serbia:Belgrade Slovenia:Ljubljana "
    "Switzerland:Bern the_Netherlands:Amsterdam "
    "Luxembourg:Luxembourg Estonia:Tallinn Latvia:Riga Lithuania:Vilnius Ghana:Accra Tunisia:Tunis Indonesia:Jakarta "
    "the_Philippines:Manila Nepal:Kathmandu Uruguay:Montevideo Ecuador:Quito"
).split())
CAPITALS = {country.replace("_", " "): city.replace("_", " ") for country, city in CAPITALS.items()}
CONTINENTS = {c: k for k, cs in {
    "Europe": "France Italy Spain Germany Portugal Austria Greece Poland Norway Sweden Denmark Finland Ireland Belgium Hungary",
    "Asia": "Japan China India Thailand Vietnam Nepal Indonesia Iran Iraq",
    "Africa": "Egypt Kenya Morocco Ghana Tunisia",
    "North America": "Canada Mexico Cuba",
    "South America": "Brazil Argentina Chile Peru Colombia Uruguay Ecuador",
}.items() for c in cs.split()}
LANGUAGES = {"France": "French", "Italy": "Italian", "Spain": "Spanish", "Germany": "German", "Portugal": "Portuguese", "Greece": "Greek",
    "Poland": "Polish", "Norway": "Norwegian", "Sweden": "Swedish", "Denmark": "Danish", "Finland": "Finnish", "Japan": "Japanese",
    "China": "Chinese", "Russia": "Russian", "Turkey": "Turkish", "Hungary": "Hungarian", "Brazil": "Portuguese", "Mexico": "Spanish",
    "England": "English", "Austria": "German", "Argentina": "Spanish", "Thailand": "Thai", "Iceland": "Icelandic", "Egypt": "Arabic"}
# What has which colour.
COLOURS = {"the sky": "blue", "grass": "green", "snow": "white", "blood": "red", "coal": "black", "a lemon": "yellow", "a banana": "yellow",
    "a tomato": "red", "milk": "white", "the sun": "yellow", "a carrot": "orange", "an orange": "orange", "chocolate": "brown",
    "a strawberry": "red", "a frog": "green", "an elephant": "grey", "a leaf": "green", "the sea": "blue", "a cucumber": "green",
    "a flamingo": "pink", "a crow": "black", "a polar bear": "white", "gold": "yellow", "a cherry": "red", "an aubergine": "purple",
    "salt": "white", "coffee": "brown", "a lime": "green", "a swan": "white", "wood": "brown", "a pea": "green", "a plum": "purple"}
MIXES = {("blue", "yellow"): "green", ("red", "yellow"): "orange", ("red", "blue"): "purple", ("red", "white"): "pink", ("black", "white"): "grey"}
SOUNDS = {"dog": "barks", "cat": "meows", "cow": "moos", "sheep": "bleats", "duck": "quacks", "lion": "roars", "horse": "neighs", "pig": "grunts",
    "frog": "croaks", "bee": "buzzes", "wolf": "howls", "snake": "hisses", "owl": "hoots", "mouse": "squeaks", "crow": "caws", "donkey": "brays"}
YOUNG = {"dog": "puppy", "cat": "kitten", "cow": "calf", "sheep": "lamb", "duck": "duckling", "lion": "cub", "horse": "foal", "pig": "piglet",
    "frog": "tadpole", "goat": "kid", "hen": "chick", "bear": "cub", "kangaroo": "joey", "swan": "cygnet", "goose": "gosling", "deer": "fawn"}
LEGS = {"dog": 4, "cat": 4, "spider": 8, "bird": 2, "ant": 6, "horse": 4, "snake": 0, "bee": 6, "cow": 4, "duck": 2, "fish": 0, "elephant": 4,
    "fly": 6, "human": 2, "octopus": 0, "chicken": 2, "table": 4, "beetle": 6, "lion": 4, "crab": 10}
HOMES = {"bird": "nest", "bee": "hive", "dog": "kennel", "spider": "web", "horse": "stable", "pig": "sty", "rabbit": "burrow", "bear": "den",
    "lion": "den", "ant": "hill", "hen": "coop"}
EATS = {"cow": "grass", "horse": "grass", "cat": "meat and fish", "panda": "bamboo", "rabbit": "grass and leaves", "lion": "meat", "bee": "nectar",
    "squirrel": "nuts", "giraffe": "leaves", "wolf": "meat", "mouse": "seeds", "koala": "leaves", "sheep": "grass"}
OPPOSITES = dict(pair.split(":") for pair in (
    "hot:cold big:small tall:short up:down left:right day:night black:white open:closed fast:slow happy:sad old:young new:old "
    "rich:poor hard:soft heavy:light "
    "full:empty wet:dry good:bad early:late high:low long:short loud:quiet clean:dirty strong:weak near:far inside:outside "
    "first:last true:false yes:no "
    "in:out on:off win:lose begin:end buy:sell give:take push:pull love:hate sweet:sour thick:thin wide:narrow deep:shallow "
    "bright:dark easy:difficult "
    "cheap:expensive safe:dangerous front:back above:below before:after always:never many:few more:less start:stop come:go "
    "alive:dead hello:goodbye "
    "north:south east:west summer:winter warm:cool smooth:rough brave:afraid asleep:awake right:wrong same:different war:peace"
).split())
PLURALS = {"child": "children", "mouse": "mice", "foot": "feet", "tooth": "teeth", "man": "men", "woman": "women", "goose": "geese", "cat": "cats",
    "dog": "dogs", "box": "boxes", "leaf": "leaves", "knife": "knives", "wolf": "wolves", "baby": "babies", "city": "cities", "fish": "fish",
    "sheep": "sheep", "bus": "buses", "key": "keys", "potato": "potatoes", "tomato": "tomatoes", "story": "stories", "book": "books",
    "house": "houses", "person": "people", "life": "lives", "half": "halves", "berry": "berries", "church": "churches", "watch": "watches",
    "dish": "dishes", "apple": "apples"}
PAST = {"go": "went", "see": "saw", "eat": "ate", "run": "ran", "take": "took", "give": "gave", "make": "made", "come": "came", "write": "wrote",
    "sing": "sang", "swim": "swam", "think": "thought", "buy": "bought", "bring": "brought", "find": "found", "sleep": "slept", "speak": "spoke",
    "drink": "drank", "know": "knew", "walk": "walked", "play": "played", "jump": "jumped", "fly": "flew", "grow": "grew", "say": "said",
    "have": "had"}
SIDES = {"triangle": "three", "square": "four", "rectangle": "four", "pentagon": "five", "hexagon": "six", "octagon": "eight"}
DAYS = "Monday Tuesday Wednesday Thursday Friday Saturday Sunday".split()
MONTHS = "January February March April May June July August September October November December".split()
MONTH_DAYS = [31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31]
PLANETS = "Mercury Venus Earth Mars Jupiter Saturn Uranus Neptune".split()
SEASONS = ["spring", "summer", "autumn", "winter"]
RHYMES = [group.split() for group in ("cat hat mat bat rat sat", "dog fog log frog", "sun fun run bun", "tree bee free sea key",
    "house mouse", "moon spoon soon noon", "day play say way", "night light bright right", "star car far jar", "ball wall tall fall small",
    "cake lake make snake", "rain train plane chain", "boat coat goat float", "bed red head bread", "king ring sing wing",
    "fish dish wish", "hand sand land band", "rose nose toes", "book look cook hook", "sky fly high pie", "bear chair hair pear",
    "time lime rhyme dime", "gold cold old told", "box fox socks")]
UNITS = {("a minute", "seconds"): "sixty", ("an hour", "minutes"): "sixty", ("a day", "hours"): "twenty-four", ("a week", "days"): "seven",
    ("a year", "months"): "twelve", ("a year", "days"): "three hundred and sixty-five", ("a year", "weeks"): "fifty-two", ("a metre",
    "centimetres"): "one hundred", ("a kilometre", "metres"): "one thousand", ("a kilogram", "grams"): "one thousand", ("a century",
    "years"): "one hundred", ("a decade", "years"): "ten", ("a dozen", "eggs"): "twelve", ("a dollar", "cents"): "one hundred", (
    "a leap year", "days"): "three hundred and sixty-six", ("a pair", "things"): "two", ("a litre", "millilitres"): "one thousand", (
    "a kilobyte", "bytes"): "one thousand", ("a byte", "bits"): "eight", ("the alphabet", "letters"): "twenty-six"}
BODY = {"see": "eyes", "hear": "ears", "smell": "nose", "taste": "tongue", "walk": "legs", "think": "brain", "bite": "teeth", "grip": "hands",
    "breathe": "lungs", "speak": "mouth"}
HAVE = {"fingers": "ten", "toes": "ten", "eyes": "two", "ears": "two", "noses": "one", "hearts": "one", "hands": "two", "feet": "two",
    "thumbs": "two", "knees": "two"}
JOBS = {"baker": "bakes bread", "doctor": "helps sick people", "teacher": "teaches children", "farmer": "grows food", "pilot": "flies planes",
    "cook": "cooks meals", "painter": "paints pictures", "firefighter": "puts out fires", "carpenter": "makes things from wood",
    "gardener": "looks after plants", "singer": "sings songs", "writer": "writes books", "dentist": "looks after teeth", "sailor": "works on a ship",
    "tailor": "makes clothes", "nurse": "cares for sick people", "postman": "brings the post", "librarian": "looks after books"}
TOOLS = {"cut paper": "scissors", "eat soup": "a spoon", "write": "a pen", "open a door": "a key", "drive in a nail": "a hammer",
    "tell the time": "a clock", "sweep the floor": "a broom", "cut bread": "a knife", "stay dry in the rain": "an umbrella",
    "take a photo": "a camera", "paint a wall": "a brush", "measure a length": "a ruler", "see far away": "a telescope", "dig a hole": "a spade",
    "boil water": "a kettle"}
MADE = {"bread": "flour", "cheese": "milk", "butter": "milk", "wine": "grapes", "paper": "wood", "glass": "sand", "chocolate": "cocoa beans",
    "honey": "nectar", "juice": "fruit", "jam": "fruit and sugar", "ice": "water", "omelettes": "eggs", "wool": "the hair of sheep",
    "raisins": "grapes", "chips": "potatoes", "ketchup": "tomatoes"}
LISTS = {
    "fruits": "apple banana cherry pear plum grape lemon orange mango peach kiwi melon",
    "vegetables": "carrot potato onion cabbage pea bean leek tomato cucumber spinach",
    "animals": "dog cat horse cow lion bear wolf fox sheep rabbit elephant tiger",
    "colours": "red blue green yellow orange purple pink brown black white",
    "birds": "robin eagle owl duck swan crow sparrow hen goose parrot", "drinks": "water tea coffee milk juice lemonade",
    "trees": "oak pine birch maple willow apple ash",
    "flowers": "rose tulip daisy lily sunflower violet poppy", "planets": "Mercury Venus Earth Mars Jupiter Saturn Uranus Neptune",
    "months": " ".join(MONTHS), "days": " ".join(DAYS),
    "sports": "football tennis swimming running cycling hockey golf", "tools": "hammer saw drill spade ruler brush",
    "countries": "France Italy Spain Japan Egypt Brazil Canada India Norway Peru",
    "instruments": "piano guitar violin flute drum trumpet harp", "clothes": "shirt coat hat scarf dress sock shoe jacket",
    "languages": "English French German Spanish Italian Greek Polish Japanese",
    "shapes": "circle square triangle star oval cube", "jobs": "baker doctor teacher farmer pilot cook nurse",
    "insects": "ant bee fly beetle wasp butterfly",
    "metals": "gold silver iron copper tin zinc",
    "cities": "Paris Rome Madrid Berlin Tokyo London Oslo Cairo Vienna Athens", "seasons": "spring summer autumn winter",
    "rooms": "kitchen bedroom bathroom hall cellar",
    "weekdays": "Monday Tuesday Wednesday Thursday Friday",
    "farm animals": "cow pig sheep hen horse goat duck", "pets": "dog cat rabbit hamster goldfish parrot",
    "sea animals": "whale shark dolphin seal crab octopus",
}
SINGLE = {"What is the largest planet": "Jupiter", "What is the largest animal": "The blue whale", "What is the tallest animal": "The giraffe",
    "What is the fastest land animal": "The cheetah", "Which planet is the red planet": "Mars", "What is the hottest season": "Summer",
    "What is the coldest season": "Winter", "What is the highest mountain": "Mount Everest", "What is the largest ocean": "The Pacific Ocean",
    "What is the king of the animals": "The lion", "Which animal has a trunk": "The elephant", "Which animal has stripes": "The zebra",
    "Which animal has a long neck": "The giraffe", "Which animal gives milk": "The cow", "Which animal lays eggs": "The hen",
    "Which animal makes honey": "The bee", "Which animal carries its house": "The snail", "What is the first letter of the alphabet": "A",
    "What is the last letter of the alphabet": "Z", "What do plants need to grow": "Water and light", "What falls from the clouds": "Rain",
    "What is frozen water": "Ice", "What shines at night": "The moon", "What is the star in the middle of the solar system": "The sun",
    "Which planet do we live on": "Earth", "Which planet has rings": "Saturn", "Which planet is closest to the sun": "Mercury",
    "What is the smallest planet": "Mercury", "What is the largest country": "Russia", "What is the largest bird": "The ostrich",
    "What do bees make": "Honey", "What do cows give": "Milk", "What do hens lay": "Eggs", "What do we breathe": "Air",
    "What is the shape of a ball": "Round", "Where does the sun rise": "In the east", "Where does the sun set": "In the west",
    "At what temperature does water boil": "At 100 degrees Celsius", "At what temperature does water freeze": "At zero degrees Celsius",
    "How many continents are there": "Seven", "How many oceans are there": "Five", "How many planets are there": "Eight",
    "How many seasons are there": "Four", "How many colours has a rainbow": "Seven", "Where do penguins live": "Near the South Pole",
    "Where do fish live": "In water", "Where do camels live": "In the desert"}
SPELL = (
    "cat dog sun house tree water apple bread garden window music summer winter school friend happy yellow green orange table chair "
    "river stone cloud light night morning letter number paper pencil flower bird horse sheep mouse tiger lemon honey butter cheese "
    "kitchen street bridge train plane ship island forest mountain ocean moon star fire snow rain wind leaf root seed book story song "
    "dance smile hand foot head heart gate model token route origin server stream world hello thank please great little strong quick "
    "brown white black"
).split()
