import BonafideTestSupport
import Testing

@testable import BonafideCore

@Suite struct TargetTests {
    @Test(arguments: [
        "/", "/a", "/a/", "/a/b", "/a-._~!$&'()*+,=:@", "/%20", "/%C3%A4", "/%22%3C%3E%5B%5D%5E%60%7B%7C%7D%23%3F",
        "/a?b", "/?b",
        "/a?b=c&d=%2F;", "/a??", "/a?b?c", "/...", "/.a", "/a?/../",
    ]) func aCanonicalTargetIsTakenAsItStands(_ text: String) throws {
        #expect(try #require(Target(canonical: text)).text == text)
    }

    @Test(arguments: [
        "", "a", "*", "http://a/", "//", "//a", "/a//b", "/.", "/..", "/a/./b", "/a/../b", "/a/..", "/a;b",
        "/a\\b", "/a b", "/ä",
        "/%2f", "/%2F", "/%5C", "/%25", "/%3B", "/%00", "/%1F", "/%7F", "/%41", "/%7E", "/%c3", "/%", "/%4",
        "/%+1", "/%-1", "/%GG",
        "/a?", "/a?b#c", "/a#b", "/a? ", "/a?ä", "/a?\u{7F}", "/a\n", "/a?b\r\nc", "/\"", "/<", "/[", "/^", "/`",
        "/{", "/|", "/a\u{0}",
        "/%2e", "/a?\u{301}",
    ]) func anyOtherTargetIsRefused(_ text: String) {
        #expect(Target(canonical: text) == nil)
    }

    @Test func aTargetOf8KiBIsTheLongest() {
        let longest = "/" + String(repeating: "a", count: 8191)
        #expect(Target(canonical: longest) != nil)
        #expect(Target(canonical: longest + "a") == nil)
    }

    @Test(
        arguments: [
            ("", nil, "/"), ("/", "", "/"), ("/%7euser/%c3%a4", nil, "/~user/%C3%A4"),
            ("/a[1]", "x=1", "/a%5B1%5D?x=1"),
            ("/a b", nil, "/a%20b"), ("/%61", "q", "/a?q"), ("/%3F", nil, "/%3F"), ("/a?b", nil, "/a%3Fb"),
        ] as [(String, String?, String)])
    func aURLIsSpeltCanonically(_ path: String, _ query: String?, _ text: String) throws {
        #expect(try Target(percentEncodedPath: path, query: query).text == text)
    }

    @Test(
        arguments: [
            ("/%2F", nil), ("/a%2fb", nil), ("/a;b", nil), ("/%3b", nil), ("/%5c", nil), ("/%25", nil), ("/%", nil),
            ("/%zz", nil),
            ("/a//b", nil), ("/.", nil), ("/%2e%2E", nil), ("/%00", nil), ("a", nil), ("/a", "b c"), ("/a", "b#"),
        ] as [(String, String?)]) func aURLWithoutAnAdmittedSpellingIsRefused(_ path: String, _ query: String?)
    {
        #expect(throws: BonafideError.targetNotCanonical(path)) {
            _ = try Target(percentEncodedPath: path, query: query)
        }
    }
}

@Suite struct RequestHeadTests {
    private let digest = ContentDigest(of: [], crypto: SoftwareCrypto())

    private func head(
        method: String = "GET", scheme: String = "https", authority: String = "a.example", authorization: String? = nil,
        cookie: String? = nil, contentType: String? = nil
    ) throws -> RequestHead {
        try RequestHead(
            method: method, scheme: scheme, authority: authority, target: #require(Target(canonical: "/")),
            authorization: authorization, cookie: cookie, contentType: contentType, contentDigest: digest)
    }

    @Test func whatAProofCoversIsTaken() throws {
        for method in ["GET", "A", "ABCDEFGHIJKLMNOP"] { #expect(try head(method: method).method == method) }
        for authority in ["a.example", "a.example:8443", "127.0.0.1", "[::1]:80", "xn--a-0"] {
            #expect(try head(authority: authority).authority == authority)
        }
        #expect(try head(scheme: "http").scheme == "http")
        let longest = String(repeating: "a", count: 8192)
        #expect(try head(authorization: longest, cookie: "a=1; b=\"x,y\"", contentType: "text/plain").cookie != nil)
    }

    @Test(arguments: ["", "get", "GET ", "G-T", "ABCDEFGHIJKLMNOPQ", "GÄT", "GET\n"])
    func aMethodOfAnotherFormIsRefused(_ method: String) {
        #expect(throws: BonafideError.requestNotSignable("the method \(method)")) { try head(method: method) }
    }

    @Test(arguments: ["", "A.example", "a b", "a/b", "u@a", "a?b", "a#b", "ä.example", "a_b", "a\n", "a\r\nb"])
    func anAuthorityOfAnotherFormIsRefused(_ authority: String) {
        #expect(throws: BonafideError.requestNotSignable("the origin")) { try head(authority: authority) }
    }

    @Test(arguments: ["", "HTTPS", "ftp", "https:", "ws"]) func anotherSchemeIsRefused(_ scheme: String) {
        #expect(throws: BonafideError.requestNotSignable("the origin")) { try head(scheme: scheme) }
    }

    @Test(arguments: [
        "", " a", "a ", "a\nb", "a\r", "\ta", "a\u{0}", "ä", "\u{7F}", String(repeating: "a", count: 8193),
    ])
    func aFieldThatIsNotOneLineIsRefused(_ value: String) {
        #expect(throws: refused("Authorization")) { try head(authorization: value) }
        #expect(throws: refused("Cookie")) { try head(cookie: value) }
        #expect(throws: refused("Content-Type")) { try head(contentType: value) }
    }

    private func refused(_ field: String) -> BonafideError { .requestNotSignable("the value of \(field)") }

    @Test func aCommaIsForCookiesAlone() {
        #expect(throws: refused("Authorization")) { try head(authorization: "a,b") }
        #expect(throws: refused("Content-Type")) { try head(contentType: "a,b") }
        #expect(throws: Never.self) { try head(cookie: "a,b") }
    }

    @Test func safeMethodsAreThree() throws {
        for method in ["GET", "HEAD", "OPTIONS"] { #expect(try head(method: method).isSafe) }
        for method in ["POST", "PUT", "PATCH", "DELETE", "TRACE", "QUERY"] {
            #expect(!(try head(method: method).isSafe))
        }
    }

    @Test func aBodyInPiecesHasTheSameDigest() throws {
        let crypto = SoftwareCrypto()
        var pieces: [[UInt8]] = [[1, 2], [], [3]]
        let digest = ContentDigest(crypto: crypto) { pieces.isEmpty ? nil : pieces.removeFirst() }
        #expect(digest == ContentDigest(of: [1, 2, 3], crypto: crypto))
        #expect(throws: Killed.self) { try ContentDigest(crypto: crypto) { throw Killed() } }
    }
}

@Suite struct AnswerHeadTests {
    @Test func fieldsAreFoundInAnyCase() {
        let head = AnswerHead(status: 401, fields: ["BONAFIDE-Action": "renew", "Retry-After": "5", "X": "y"])
        #expect(head.action == .renew)
        #expect(head["x"] == "y")
        #expect(head.retryAfter == 5)
    }

    @Test func onlyARefusalAsksForSomething() {
        for status in [200, 201, 204, 301, 304, 399] {
            #expect(AnswerHead(status: status, fields: ["bonafide-action": "renew"]).action == nil)
        }
        for status in [400, 401, 403, 429, 503] {
            #expect(AnswerHead(status: status, fields: ["bonafide-action": "renew"]).action == .renew)
        }
        for odd in ["", "Renew", "renew ", "renew, renew"] {
            #expect(AnswerHead(status: 401, fields: ["bonafide-action": odd]).action == nil)
        }
    }

    @Test(arguments: [
        ("0", 1), ("1", 1), ("7", 7), ("60", 60), ("61", 60), ("999999", 60), ("1000000", 1), ("-5", 1),
        (
            "1.5",
            1
        ), ("", 1),
        ("1e3", 1), ("٣", 1), ("Sun, 06 Nov 1994 08:49:37 GMT", 1), ("inf", 1), ("nan", 1), (" 5", 1),
    ]) func aWaitIsBetweenASecondAndAMinute(_ text: String, _ seconds: Double) {
        #expect(AnswerHead(status: 503, fields: ["retry-after": text]).retryAfter == seconds)
    }

    @Test func aRecordIsAShortWord() {
        #expect(AnswerHead(status: 401, fields: ["bonafide-record": "r-1"]).record == "r-1")
        #expect(AnswerHead(status: 401, fields: [:]).record == nil)
        for odd in [String(repeating: "a", count: 65), "a\nb", "a b", "ä"] {
            #expect(AnswerHead(status: 401, fields: ["bonafide-record": odd]).record == nil)
        }
    }
}

@Suite struct ServiceAddressTests {
    @Test(arguments: [
        ("https://api.example.com/bonafide/v1", "https", "api.example.com", "/bonafide/v1"),
        ("HTTPS://API.example.com:443/bonafide/v1/", "https", "api.example.com", "/bonafide/v1"),
        ("http://127.0.0.1:8080", "http", "127.0.0.1:8080", ""), ("http://a:80/", "http", "a", ""),
        ("https://a:80/x//", "https", "a:80", "/x"), ("https://[::1]:8443/b", "https", "[::1]:8443", "/b"),
    ]) func anAddressIsTakenApart(_ url: String, _ scheme: String, _ authority: String, _ prefix: String) throws {
        let address = try #require(ServiceAddress(url))
        #expect(address.scheme == scheme)
        #expect(address.authority == authority)
        #expect(address.prefix == prefix)
    }

    @Test(arguments: [
        "", "a", "https:", "https://", "https:///a", "ftp://a/", "https:/a/b", "https://u@a/", "https://u:p@a/",
        "https://a/b?c", "https://a/b#c", "https://a?b", "https://a b/", "https://a//b/c", "https://a/../b",
        "https://a/%2F",
        "https://ä/", "https://a/b c", "javascript://a/",
    ]) func anythingElseIsNoAddress(_ url: String) {
        #expect(ServiceAddress(url) == nil)
    }

    @Test func aClientWithAnotherAddressSendsNothing() async {
        let phone = Phone()
        let client = phone.start { configuration, _ in configuration.service = "https://a/b?c" }
        #expect(await failure { try await client.prove() } == .requestNotSignable("the service's URL"))
        #expect(phone.service.messages == 0)
    }
}
