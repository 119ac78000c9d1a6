import Foundation
import Testing

@testable import Bonafide
@testable import BonafideCore

@Suite struct CanonicalURLTests {
    @Test(arguments: [
        ("https://api.example.com", "https://api.example.com/"),
        ("https://API.Example.COM/a", "https://api.example.com/a"),
        ("HTTPS://api.example.com:443/a", "https://api.example.com/a"),
        ("http://api.example.com:80/a", "http://api.example.com/a"),
        ("http://api.example.com:443/a", "http://api.example.com:443/a"),
        ("https://api.example.com:8443/a", "https://api.example.com:8443/a"),
        ("https://api.example.com/a?", "https://api.example.com/a"),
        ("https://api.example.com/a#part", "https://api.example.com/a"),
        ("https://api.example.com/a?b=c#part", "https://api.example.com/a?b=c"),
        ("https://api.example.com/%7euser/%41", "https://api.example.com/~user/A"),
        ("https://api.example.com/caf%c3%a9", "https://api.example.com/caf%C3%A9"),
        ("https://api.example.com/a%20b/", "https://api.example.com/a%20b/"),
        ("https://api.example.com/a:b@c!$&'()*+,=", "https://api.example.com/a:b@c!$&'()*+,="),
        ("https://api.example.com/a?x=%7e&y=a+b%2F", "https://api.example.com/a?x=%7e&y=a+b%2F"),
        ("https://[2001:DB8::1]:8443/a", "https://[2001:db8::1]:8443/a"),
        ("https://[::1]/a", "https://[::1]/a"),
        ("https://xn--bcher-kva.example/a", "https://xn--bcher-kva.example/a"),
    ])
    func spelling(given: String, canonical: String) throws {
        let url = try #require(URL(string: given))
        #expect(try CanonicalURL(url).url.absoluteString == canonical)
        #expect(try CanonicalURL(CanonicalURL(url).url).url.absoluteString == canonical)
    }

    @Test(arguments: [
        "https://api.example.com/a//b", "https://api.example.com/a/../b", "https://api.example.com/./a",
        "https://api.example.com/a%2Fb", "https://api.example.com/a%5Cb", "https://api.example.com/a%25b",
        "https://api.example.com/a;b", "https://api.example.com/a%3Bb", "https://api.example.com/a%00",
        "https://api.example.com/%2e%2e/a",
    ])
    func pathsWithoutSpelling(text: String) throws {
        let url = try #require(URL(string: text))
        #expect {
            try CanonicalURL(url)
        } throws: { error in
            if case BonafideError.targetNotCanonical = error { true } else { false }
        }
    }

    @Test(arguments: [
        "https://user@api.example.com/", "https://user:word@api.example.com/", "ftp://api.example.com/", "/a", "a",
        "file:///etc/hosts", "https:/a", "https://api_1.example.com/", "https://api%2eexample.com/",
    ])
    func originsThatNoProofCovers(text: String) throws {
        let url = try #require(URL(string: text))
        #expect {
            try CanonicalURL(url)
        } throws: { error in
            if case BonafideError.requestNotSignable = error { true } else { false }
        }
    }

    @Test func aRelativeURLIsResolved() throws {
        let url = try #require(URL(string: "b?c=d", relativeTo: URL(string: "https://api.example.com/a/")))
        #expect(try CanonicalURL(url).url.absoluteString == "https://api.example.com/a/b?c=d")
    }
}
