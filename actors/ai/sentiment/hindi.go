package sentiment

import "strings"

// hindi is what words of Hindi are worth, in Latin letters as they are written and in their own, on VADER's scale from -4 to 4.
var hindi = valences(map[float64]string{
	3.2:  "lajawab lajwab zabardast zabardust jabardast shandar shaandar behtareen behtarin umda kamaal kamal शानदार लाजवाब ज़बरदस्त बेहतरीन",
	2.6:  "badhiya badiya badhia mast mazedar mazedaar majedar swadist swadisht swaadisht vasool wasool dhansu jhakaas बढ़िया मस्त मज़ेदार स्वादिष्ट",
	2.1:  "accha acha achha achchha acchi achi achhi acche ache achhe maza mazaa majaa khush khushi pasand sundar pyara pyar pyaar jeet अच्छा अच्छी अच्छे मज़ा खुश पसंद",
	1.0:  "mann man dhang swad swaad swaadh fayda faida dhyan स्वाद मन ध्यान",
	1.5:  "theek thik behtar saaf taza taaza naram garam sahi shukriya dhanyavad tasty fresh ठीक साफ ताज़ा सही",
	-1.3: "kam mehenga mehnga mahanga thanda thandi thande lambi kachcha kaccha kacche kacha kachi phika feeka fika khatta zyada jyada dard kami shikayat shikayatein slow aadha teekha tikha तीखा फीका महंगा ठंडा ठंडी",
	-2.1: "bura buri bure kharab karab basi baasi jala jali jale pareshan dukh dukhi keeda keede badbu bekar bekaar faltu kharaab खराब बुरा बुरी बासी बदबू बेकार",
	-2.8: "bakwas bakwaas ganda gandi gande ghatiya gatiya wahiyat wahiyaat chee chhi बकवास गंदा गंदी घटिया",
})

func valences(groups map[float64]string) map[string]float64 {
	m := map[string]float64{}
	for valence, words := range groups {
		for _, w := range strings.Fields(words) {
			m[w] = valence
		}
	}
	return m
}

// boosters make what follows stronger.
var boosters = strings.Fields("bahut bohot bahot bohat ekdum ekdam bilkul kaafi kafi itna itni itne sabse full बहुत एकदम बिल्कुल")

// turns are what VADER knows as but: what follows them counts for more.
var turns = map[string]bool{"lekin": true, "magar": true, "par": true, "लेकिन": true, "मगर": true}

// negations turn what is next to them.
var negations = func() map[string]bool {
	m := map[string]bool{}
	for _, w := range strings.Fields("nahi nahin nahii nai nhi bina नहीं") {
		m[w] = true
	}
	return m
}()
