//! The fourteen events of the 2014 README, and its three questions.

use crate::esdb::Folder;

fn answers(selectors: &str) -> Vec<String> {
    let folder = Folder::new();
    folder.import("readme.ndjson", "-q --unit s -o readme.esdb").ok();
    let run = folder.run(&format!("scan readme.esdb {selectors} --raw")).ok();
    run.text().lines().map(str::to_owned).collect()
}

#[test]
fn the_activity_of_customer_1_comes_newest_first() {
    let expected = [
        r#"{"url":"http://mysite.com/thankyou"}"#,
        r#"{"total":"42.99"}"#,
        r#"{"url":"http://mysite.com/checkout"}"#,
        r#"{"button_text":"Checkout"}"#,
        r#"{"url":"http://mysite.com/"}"#,
    ];
    assert_eq!(answers("-s 1 -r"), expected);
}

#[test]
fn the_purchases_of_customer_1() {
    assert_eq!(answers("-s 1 -i type=purchase"), [r#"{"total":"42.99"}"#]);
}

#[test]
fn the_clicks_of_customer_3_newest_first() {
    let expected = [r#"{"button_text":"Checkout"}"#, r#"{"button_text":"About"}"#];
    assert_eq!(answers("-s 3 -i type=click -r"), expected);
}
