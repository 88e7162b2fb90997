#!/bin/sh
# Makes the two voices of the demo and the tests: headerless 8 kHz µ-law, about -20 dBm0. Needs espeak-ng and sox.
set -eu
cd "$(dirname "$0")"
say() { espeak-ng -v "$1" -s 150 -w /tmp/speech.$$.wav "$3" && sox /tmp/speech.$$.wav -t ul -r 8000 -c 1 "$2" norm -12; rm -f /tmp/speech.$$.wav; }
say en-gb+f3 agent.ul "Thank you for holding. I will take your payment now. Please key in the long number across the front of your card. You can talk to me while you do, I will not hear the keys. Take all the time you need. The number stays between you and your bank. If you slip, press star, and try that digit again. I can see that it is going well. The next one is the expiry date, the month first and then the year. After that it is only the security code on the back of the card."
say en-us caller.ul "All right, let me find my card. It is somewhere in this bag, one moment. Here it is. I am keying it in now, can you hear me all right? My daughter is doing her homework beside me, so it may be a little noisy. It is a fine day here, by the way, we went to the sea this morning. There we are, nearly done. That should be all of it. Did it go through? Wonderful, thank you very much for your help."
