"""Wide vocabularies of what the demo model does not know, so that saying so is a habit and not a list."""

FIRST = (
    "Albert Marie Isaac Charles William Jane Leonardo Napoleon Julius Queen King Abraham George Winston Nelson Martin Ludwig Wolfgang "
    "Johann Frida Pablo Vincent Claude Greta Elon Steve Bill Ada Alan Grace Katherine Rosa Karl Sigmund Friedrich Emily Charlotte "
    "Oscar Mark Ernest Virginia Agatha Stephen Taylor Michael Serena Roger Lionel Diego Usain Barack Angela Vladimir Margaret Indira "
    "Simone Hannah Immanuel René Baruch John Paul Freddie David Amelia Neil Yuri Valentina Marco Christopher Vasco James Fridtjof Roald"
).split()
LAST = (
    "Einstein Curie Newton Darwin Shakespeare Austen Bonaparte Caesar Lincoln Washington Churchill Mandela Luther Beethoven Mozart "
    "Bach Kahlo Picasso Monet Jobs Gates Lovelace Turing Hopper Parks Marx Freud Nietzsche Dickinson Wilde Twain Hemingway Woolf "
    "Christie Hawking Swift Jordan Williams Federer Messi Maradona Bolt Obama Merkel Thatcher Gandhi Kant Descartes Lennon Mercury "
    "Bowie Earhart Armstrong Gagarin Polo Columbus Cook Nansen Amundsen Miller Baker Peterson Novak Kowalski Tanaka Singh Okafor Silva "
    "Garcia Rossi Dubois Schmidt Larsen Virtanen Nagy Popov"
).split()
EVENTS = (
    "the French Revolution|the First World War|the Second World War|the Battle of Hastings|the moon landing|the fall of Rome|"
    "the Cold War|the Black Death|the Industrial Revolution|the Berlin Wall|the Thirty Years' War|the Olympic Games|"
    "the Great Depression|the American Civil War|the Renaissance|the Boston Tea Party|the Russian Revolution|the siege of Troy|"
    "the gold rush|the World Cup|the last election|the Battle of Waterloo|the Treaty of Versailles|the Magna Carta|"
    "the Great Fire of London|the Viking age|the Crusades|the Opium Wars|the Treaty of Rome"
).split("|")
ILLS = (
    "a headache|a fever|back pain|a cold|the flu|a broken arm|high blood pressure|diabetes|a rash|a sore throat|asthma|insomnia|"
    "a cough|an allergy|chest pain|a migraine|stomach pain|a burn|an infection|anaemia|a sprained ankle|a toothache|pneumonia|"
    "arthritis|vertigo"
).split("|")
DRUGS = "aspirin ibuprofen penicillin insulin paracetamol morphine antibiotics vitamins caffeine melatonin".split()
LAW = (
    "break my rental contract|sue my landlord|write a will|get a divorce|pay less tax|register a company|appeal a fine|"
    "copyright a song|end my contract|get a visa|fire an employee|patent an idea|record a phone call|keep a deposit|inherit a house|"
    "get custody|contest a parking ticket"
).split("|")
CODE = (
    "a sorting function|a web server|a binary search|a regular expression for emails|a linked list|a game of chess|"
    "a recursive function|a SQL query|a class for bank accounts|a calculator app|a snake game|a parser|a shell script|a login page|"
    "a hash table|a bubble sort|a web scraper|a Docker file|a unit test|a neural network|a compiler|a chat bot"
).split("|")
TONGUES = "Python|Java|C++|JavaScript|Rust|Haskell|Go|Ruby|Perl|PHP|Swift|Kotlin|SQL|Lua|Scala|Bash|Erlang|TypeScript".split("|")
FOREIGN = (
    "French German Spanish Italian Latin Japanese Chinese Russian Arabic Greek Turkish Polish Dutch Swedish Korean Hindi Portuguese "
    "Finnish Welsh Swahili"
).split()
SENTENCES = (
    "good morning|where is the station|I love you|the house is red|thank you very much|how much is it|my name is Anna|see you tomorrow|"
    "the book is on the table|water|freedom|friendship|I am hungry|what time is it|the weather is nice"
).split("|")
SCIENCE = (
    "quantum mechanics|general relativity|photosynthesis|black holes|string theory|dark matter|plate tectonics|DNA|evolution|entropy|"
    "the Higgs boson|superconductors|antibodies|chemical bonds|nuclear fusion|game theory|Gödel's theorem|cell division|stem cells|"
    "the periodic table|the greenhouse effect|gravitational waves|enzymes|neutron stars|group theory|isotopes|the immune system|"
    "the big bang|thermodynamics|radioactivity|electromagnetism|volcanoes|mitosis|vaccines"
).split("|")
ECONOMY = (
    "inflation|interest rates|the stock market|Bitcoin|cryptocurrencies|mortgages|pension funds|shares of Apple|the price of gold|"
    "index funds|exchange rates|hedge funds|government bonds|oil prices|unemployment|taxes|start-ups|insurance"
).split("|")
POLITICS = (
    "the president|the prime minister|the election|the parliament|the European Union|the United Nations|Brexit|immigration|"
    "nuclear power|gun laws|the death penalty|abortion|the war|the new government|climate policy|the opposition|the king|socialism|"
    "capitalism|democracy"
).split("|")
WORKS = (
    "Hamlet|War and Peace|Star Wars|The Lord of the Rings|Titanic|the Mona Lisa|Moby Dick|Don Quixote|Harry Potter|the Odyssey|Faust|"
    "Casablanca|the Ninth Symphony|Bohemian Rhapsody|The Matrix|The Godfather|Pride and Prejudice|Frankenstein|Dracula|"
    "The Little Prince|The Great Gatsby|Swan Lake|Breaking Bad|The Simpsons|Macbeth|The Starry Night|Les Misérables|The Hobbit"
).split("|")
PLACES = (
    "Timbuktu|Patagonia|the Sahara|Lake Baikal|the Amazon|Machu Picchu|the Great Wall|Stonehenge|Venice|Istanbul|Chicago|Sydney|Mumbai|"
    "Texas|Bavaria|Siberia|Hawaii|Mount Fuji|the Eiffel Tower|the Louvre|the Danube|the Alps|Antarctica|Manhattan|Hollywood|Shanghai|"
    "Marseille|Kraków|Bergen|Naples|Seville"
).split("|")
DISHES = (
    "lasagne|sushi|paella|a chocolate cake|ramen|goulash|an apple pie|risotto|curry|tiramisu|a birthday cake|pancakes|pizza dough|"
    "beef stew|falafel|pad thai|croissants|sourdough|pho|moussaka|borscht|hummus|a soufflé"
).split("|")
PRODUCTS = (
    "the new iPhone|an electric car|my printer|my washing machine|Windows|Photoshop|Excel|my router at home|a Tesla|Kubernetes|Docker|"
    "Terraform|PostgreSQL|Redis|nginx|Linux|Android|Git|React|a drone|WordPress|my television|Oracle|Salesforce|my phone|"
    "a coffee machine"
).split("|")
TEAMS = (
    "Real Madrid|Bayern Munich|Liverpool|the Lakers|the Yankees|Manchester United|Barcelona|the Bulls|Juventus|Ajax|Arsenal|Chelsea|"
    "the Packers|Celtic|Benfica"
).split("|")
LORE = (
    "Zeus|Odin|Buddha|the Bible|the Koran|Thor|Hercules|Anubis|karma|Zen|stoicism|existentialism|Plato|Aristotle|Confucius|nirvana|"
    "astrology|tarot|the Torah|Vishnu|Athena|Socrates|the meaning of life"
).split("|")
WHENCE = (
    "the most expensive painting|the oldest university|the deepest lake|the longest bridge|the first computer|the richest person|"
    "the best film of all time|the tallest building|the fastest car|the rarest stone|the oldest tree|the largest library|"
    "the most spoken language|the best restaurant in town|the smallest bone|the largest island|the first newspaper|the oldest company"
).split("|")
ODD = (
    "wombat|sextant|lute|gargoyle|quasar|trebuchet|oboe|pangolin|monocle|fjord|samovar|catamaran|abacus|zeppelin|isthmus|gyroscope|"
    "theremin|platypus|axolotl|obelisk|tundra|gazebo|harpsichord|sonnet|limerick|stalactite|manatee|okapi|yurt|didgeridoo|capacitor|"
    "carburettor|transistor|mortgage|subpoena|algorithm|metaphor|adverb|gerund|haiku|fugue|sonata|fresco"
).split("|")
SYLLABLES = "ka lo mi zan dor vel tru bin quo shi rem ga nor pel zu mar tha ix ov len dra fo".split()
