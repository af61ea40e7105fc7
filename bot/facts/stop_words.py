"""Words that say nothing about what a question is about: English, German and French."""

from __future__ import annotations

from bot.facts.words import words_of

_ENGLISH = """
    a about above after again against all almost also am an and any anybody anyone anything are
    aren as at be because been before being below between both but by can cannot could couldn
    did didn do does doesn doing don done down during each either else etc even ever every
    everybody everyone everything few for from further get gets getting give given go goes
    going gone got had hadn happen happens has hasn have haven having he hello help her here
    hers herself hey hi him himself his how however i if in instead into is isn it its itself
    just kind know let like ll lot lots make makes many may maybe me mean might mine more most
    much must my myself need needs never no nobody none nor not nothing now of off often ok
    okay on once one ones only or other others our ours ourselves out over own perhaps please
    possible quite rather re really s same say says see shall she should shouldn so some
    somebody someone something sometimes soon still such sure t take tell than that the their
    theirs them themselves then there these they thing things this those though through to too
    under until up upon us use used ve very want wants was wasn way we well were weren what
    whatever when where whether which while who whom whose why will with within without won
    would wouldn yes yet you your yours yourself yourselves exactly actually already always
    anymore able allowed supposed work works long old new thanks thank thx cheers great nice
    cool good morning evening night afternoon bye goodbye welcome sorry lovely awesome perfect
    wow lol haha right fine joke story explain understand write
"""
_GERMAN = """
    aber alle allem allen aller alles als also am an andere anderem anderen anderer anderes
    auch auf aus bei beim beispielsweise bekomme bekommen bekommt bekomm ich bin bis bist bitte
    bloß da dabei dadurch dafür dagegen daher damit danach dann daran darauf daraus darf darfst
    darin darüber darum das dass davon davor dazu dein deine deinem deinen deiner dem den denen
    denn der deren des deshalb dessen dich die dies diese diesem diesen dieser dieses dir doch
    dort du durch dürfen dürft eben egal ein eine einem einen einer eines einfach einmal er es
    etwa etwas euch euer eure eurem euren eurer falls für gab ganz gar geben gegen gehe gehen
    geht genau gerade gern gerne gibt gilt ging habe haben hallo hast hat hatte hatten heißt
    her hier hin hinter ihm ihn ihnen ihr ihre ihrem ihren ihrer im immer in ins irgendwann
    irgendwas irgendwelche irgendwie irgendwo ist ja jede jedem jeden jeder jedes jemand jene
    jetzt kann kannst kein keine keinem keinen keiner komme kommen kommt können könnte konnte
    lange lassen lässt mache machen macht mag mal man manche mehr mein meine meinem meinen
    meiner meist mich mir mit möchte möchten möglich müssen muss musste muß na nach nachdem
    nehme nehmen nein nicht nichts nie niemand nimmt noch nun nur ob oder oft ohne passiert pro
    schon sehr sei seid sein seine seinem seinen seiner seit sich sie sind so sobald sofern
    sogar solche soll sollen sollte sollten somit sondern sonst sowie später statt über
    überhaupt um und uns unser unsere unserem unseren unserer unter viel viele vielleicht vom
    von vor wann war waren warum was wegen weil welche welchem welchen welcher welches wem wen
    wenn wer werde werden weshalb wessen wie wieder wieso wieviel will wir wird wirklich wo
    wobei wodurch wofür woher wohin wollen wollte womit wurde würde wurden würden z zu zum zur
    zwar zwischen danke dankeschön vielen dank moin servus guten tag morgen abend nacht tschüss
    super toll prima okay genial klasse gut gute guter gutes erzähl erzähle schreib schreibe
"""
_FRENCH = """
    ai aie ainsi alors après as au aucun aucune aujourd aussi autant autre autres aux avais
    avait avant avec avez avoir avons ayant beaucoup bien bon bonjour bonsoir c ça car ce ceci
    cela celle celles celui cependant certains ces cet cette ceux chaque chez ci combien comme
    comment contre d dans de déjà demande depuis des desquels dès devez devoir devons devra
    devrait doit doivent donc dont du duquel elle elles en encore entre est et étaient était
    étant été être eu eux existe fait faire fais faut font hui il ils j jamais je jusqu jusque
    l la là laquelle le lequel les lesquelles lesquels leur leurs lors lorsque lui m ma mais me
    même mêmes merci mes mien moi moins mon n ne ni non nos notre nous on ont ou où oui par
    parce parfois pas passe pendant peu peut peuvent peux plus plusieurs plutôt pour pourquoi
    pourra pourrait pouvez pouvoir pouvons presque puis puisque qu quand que quel quelle
    quelles quelqu quelque quelques quels qui quoi quoique rien s sa sans sauf se selon sera
    serait ses si sien soi soit sommes son sont sous suis sur t ta tant te tel telle telles
    tels tes toi ton toujours tous tout toute toutes très tu un une va vais vas veut veux vers
    veulent voici voilà vont vos votre vous y salut coucou svp stp beaucoup génial parfait
    revoir
    accord raconte écris
"""

STOP_WORDS = frozenset(words_of(f"{_ENGLISH} {_GERMAN} {_FRENCH}"))
