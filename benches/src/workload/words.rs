//! Lists of words that events are made of.

pub(super) const NAMES: [&str; 40] = [
    "olivia", "noah", "emma", "liam", "ava", "mason", "mia", "jacob", "sophia", "ethan", "chloe", "lucas",
    "harper", "logan", "amelia", "jackson", "ella", "aiden", "lily", "elijah", "grace", "carter", "zoe",
    "owen", "nora", "wyatt", "hazel", "henry", "violet", "isaac", "aurora", "gavin", "stella", "adrian",
    "lucy", "miles", "paisley", "roman", "naomi", "felix",
];
pub(super) const SURNAMES: [&str; 20] = [
    "smith", "johnson", "brown", "garcia", "miller", "davis", "wilson", "anderson", "thomas", "moore",
    "martin", "lee", "clark", "lewis", "walker", "young", "king", "wright", "scott", "green",
];
pub(super) const TOWNS: [&str; 19] = [
    "Ashford",
    "Baldock",
    "Carlisle",
    "Dunmore",
    "Elmswell",
    "Fairview",
    "Glenwood",
    "Hartley",
    "Ilkeston",
    "Juniper",
    "Kingsbridge",
    "Lakeside",
    "Milford",
    "Norwood",
    "Oakham",
    "Preston",
    "Redhill",
    "Stanton",
    "Thornbury",
];
pub(super) const TYPES: [&str; 12] = [
    "page_view",
    "click",
    "search",
    "scroll",
    "add_to_cart",
    "purchase",
    "signup",
    "login",
    "share",
    "video_play",
    "error",
    "refund",
];
pub(super) const PAGES: [&str; 16] = [
    "/",
    "/pricing",
    "/docs/getting-started",
    "/docs/api/reference",
    "/blog/how-we-count-events",
    "/products/lamp",
    "/products/desk",
    "/products/chair",
    "/cart",
    "/checkout",
    "/account/settings",
    "/account/orders",
    "/search",
    "/support/contact",
    "/about",
    "/careers",
];
pub(super) const AGENTS: [&str; 6] = [
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 Chrome/126.0 Safari/537.36",
    "Mozilla/5.0 (Macintosh; Intel Mac OS X 14_5) AppleWebKit/605.1.15 Version/17.5 Safari/605.1.15",
    "Mozilla/5.0 (iPhone; CPU iPhone OS 17_5 like Mac OS X) AppleWebKit/605.1.15 Mobile/15E148",
    "Mozilla/5.0 (Linux; Android 14; Pixel 8) AppleWebKit/537.36 Chrome/126.0 Mobile Safari/537.36",
    "Mozilla/5.0 (X11; Linux x86_64; rv:127.0) Gecko/20100101 Firefox/127.0",
    "okhttp/4.12.0",
];
/// Common words first: they are drawn by Zipf's law.
pub(super) const VOCABULARY: &str = "the of and to a in is for it on you that with are this be your at not have was from or we \
    can by as if will our no an my has they but order please all item delivery when more out so one shop price about new after help need been \
    which size time store customer up account return day payment only do refund good box arrived ordered back what still two week \
    received address there color would card quality get product send how two-pack number first asked just very email could lamp package \
    because table late before black changed small chair invoice large again white replacement works parcel wrong cotton then \
    original online desk warehouse made support thanks broken charger coupon never every cable light kitchen blue code \
    checkout missing damaged cup cannot until bottle within wooden gift days password button found sale delivered manual look \
    easy box-set battery courier green discount glass steel offer label three arrives working screen minutes summer leather \
    waited quickly newsletter fast cancel stock jacket paper warranty hour mirror second notebook tracking instead exchange doorstep \
    neighbour tomorrow hours soft morning colour already answer without picture mug handle shipping answered shelf page left \
    window subscription garden tonight faulty assembly screws available weekend bigger evening reset friendly unfortunately \
    pillow blanket confirmed expected courteous backpack scratched yesterday invoiced refunded umbrella voucher unopened \
    zipper tripod kettle velvet drawer hinge adapter ceramic bracket lantern monday friday autumn winter spring january \
    april october berlin lisbon vienna dublin oslo madrid prague warsaw helsinki geneva porto tallinn";
