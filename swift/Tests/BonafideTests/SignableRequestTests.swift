import CryptoKit
import Foundation
import Testing

@testable import Bonafide
@testable import BonafideCore

#if canImport(FoundationNetworking)
    import FoundationNetworking
#endif

@Suite struct SignableRequestTests {
    private let cookies = URLSessionConfiguration.ephemeral.httpCookieStorage

    private func preparation(
        cookies: HTTPCookieStorage? = nil, headers: [String: String] = [:]
    ) throws -> Preparation {
        let origin = try Origin(of: link("https://api.example.com/bonafide/v1"))
        return Preparation(origins: [origin], cookies: cookies, additionalHeaders: headers, crypto: PlatformCrypto())
    }

    private func request(_ url: String = "https://api.example.com/orders", method: String = "POST") -> URLRequest {
        var request = URLRequest(url: link(url))
        request.httpMethod = method
        return request
    }

    private func sent(
        _ request: URLRequest, file: URL? = nil, by preparation: Preparation? = nil
    ) throws -> (RequestHead, URLRequest) {
        let signable = try SignableRequest(request, file: file, by: try preparation ?? self.preparation())
        let parameters = HTTPSignature.Parameters(created: 1, nonce: "n", keyID: "k", algorithm: .hardware)
        let base = HTTPSignature.base(of: signable.head, attestation: "jwt", parameters: parameters)
        let fields = ProofFields(base: base, signature: [1], request: signable.head, attestation: "jwt")
        return (signable.head, signable.proven(by: fields))
    }

    private func expectNotSignable(_ request: URLRequest, file: URL? = nil) {
        #expect {
            try sent(request, file: file)
        } throws: { error in
            if case BonafideError.requestNotSignable = error { true } else { false }
        }
    }

    @Test func whatIsSignedIsWhatIsSent() throws {
        var request = request("https://API.example.com:443/%7eme?x=1#part")
        request.httpBody = Data("{}".utf8)
        request.setValue("application/json", forHTTPHeaderField: "content-type")
        request.setValue("Bearer t", forHTTPHeaderField: "authorization")
        let (head, sent) = try sent(request)
        #expect(sent.url?.absoluteString == "https://api.example.com/~me?x=1")
        #expect(head.method == "POST")
        #expect(head.authority == "api.example.com")
        #expect(head.target.text == "/~me?x=1")
        #expect(head.contentType == "application/json")
        #expect(head.authorization == "Bearer t")
        #expect(head.contentDigest == ContentDigest(of: Array("{}".utf8), crypto: PlatformCrypto()))
        #expect(sent.value(forHTTPHeaderField: "Content-Digest") == head.contentDigest.field)
        #expect(sent.value(forHTTPHeaderField: "OAuth-Client-Attestation") == "jwt")
        #expect(!sent.httpShouldHandleCookies)
    }

    @Test func aBodyWithoutContentTypeIsNoForm() throws {
        var request = request()
        #expect(try sent(request).0.contentType == nil)
        request.httpBody = Data("a=b".utf8)
        let (head, sent) = try sent(request)
        #expect(head.contentType == "application/octet-stream")
        #expect(sent.value(forHTTPHeaderField: "Content-Type") == "application/octet-stream")
    }

    @Test func aStreamIsRefusedWithAnErrorOfItsOwn() {
        var request = request()
        request.httpBodyStream = InputStream(data: Data([1]))
        #expect(throws: BonafideError.streamedBody) { try sent(request) }
    }

    @Test(arguments: [
        "Content-Encoding", "content-encoding", "Upgrade", "Trailer", "X-HTTP-Method-Override", "X-HTTP-Method",
        "X-Method-Override", "x_http_method_override",
    ])
    func fieldsThatChangeTheMeaningAreRefused(name: String) {
        var request = request()
        request.setValue("x", forHTTPHeaderField: name)
        expectNotSignable(request)
    }

    @Test func aFieldOfTheSessionIsSignedAlike() throws {
        let headers = ["Authorization": "Bearer s", "X-App": "1", "Content-Type": "text/plain"]
        var request = request()
        request.setValue("application/json", forHTTPHeaderField: "Content-Type")
        let (head, sent) = try sent(request, by: preparation(headers: headers))
        #expect(head.authorization == "Bearer s")
        #expect(head.contentType == "application/json")
        #expect(sent.value(forHTTPHeaderField: "X-App") == "1")
        let refused = try preparation(headers: ["Content-Encoding": "gzip"])
        #expect(throws: BonafideError.self) { try self.sent(request, by: refused) }
    }

    @Test(arguments: [
        "https://other.example.com/", "http://api.example.com/", "https://api.example.com:8443/",
        "https://api.example.com.evil.test/", "https://user@api.example.com/",
    ])
    func noProofLeavesForAnotherOrigin(url: String) {
        expectNotSignable(request(url))
    }

    @Test func ofAnEarlierProofNothingStays() throws {
        var request = request(method: "GET")
        for name in ["Signature", "signature-input", "CONTENT-DIGEST", "oauth-client-attestation"] {
            request.setValue("old", forHTTPHeaderField: name)
        }
        let (_, sent) = try sent(request)
        #expect(!(sent.allHTTPHeaderFields ?? [:]).values.contains("old"))
    }

    @Test func aHeaderThatBreaksTheBaseIsRefused() {
        for value in ["a, b", ""] {
            var request = request()
            request.setValue(value, forHTTPHeaderField: "Authorization")
            expectNotSignable(request)
        }
    }

    @Test func repeatableAreSafeMethodsAndKeys() throws {
        func isRepeatable(_ request: URLRequest) throws -> Bool {
            try SignableRequest(request, file: nil, by: preparation()).isRepeatable
        }
        #expect(try isRepeatable(request(method: "GET")))
        #expect(try isRepeatable(request(method: "HEAD")))
        #expect(try !isRepeatable(request(method: "DELETE")))
        var order = request()
        #expect(try !isRepeatable(order))
        order.setValue("1", forHTTPHeaderField: "idempotency-key")
        #expect(try isRepeatable(order))
    }

    @Test func ownedCookiesAreSignedAndOnlyThose() throws {
        let cookies = try #require(self.cookies)
        let url = link("https://api.example.com/")
        let cookie = try #require(
            HTTPCookie(properties: [
                .name: "sid", .value: "1", .domain: "api.example.com", .path: "/",
            ]))
        cookies.setCookies([cookie], for: url, mainDocumentURL: nil)
        let preparation = try preparation(cookies: cookies)
        var request = request(method: "GET")
        #expect(try sent(request, by: preparation).0.cookie == "sid=1")
        #expect(try sent(request).0.cookie == nil)
        request.setValue("own=2", forHTTPHeaderField: "Cookie")
        #expect(try sent(request, by: preparation).0.cookie == "own=2")
        request.setValue(nil, forHTTPHeaderField: "Cookie")
        request.httpShouldHandleCookies = false
        #expect(try sent(request, by: preparation).0.cookie == nil)
    }

    /// Anybody on the way can set a cookie, and it stays when they are gone.
    @Test func aCookieThatNoProofCoversIsLeftOut() throws {
        let cookies = try #require(self.cookies)
        let url = link("https://api.example.com/")
        let hostile = ["a": "\u{e9}", "b": "1\u{7f}", "c": String(repeating: "c", count: 9000), "d\u{e9}": "1"]
        for (name, value) in hostile.merging(["sid": "1", "empty": ""], uniquingKeysWith: { $1 }) {
            let cookie = HTTPCookie(properties: [
                .name: name, .value: value, .domain: "api.example.com", .path: "/",
            ])
            cookies.setCookies(cookie.map { [$0] } ?? [], for: url, mainDocumentURL: nil)
        }
        let signed = try sent(request(method: "GET"), by: try preparation(cookies: cookies)).0.cookie
        #expect(signed.map { Set($0.components(separatedBy: "; ")) } == ["sid=1", "empty="])
        for number in 0..<40 {
            let cookie = try #require(
                HTTPCookie(properties: [
                    .name: "n\(number)", .value: String(repeating: "v", count: 300), .domain: "api.example.com",
                    .path: "/",
                ]))
            cookies.setCookies([cookie], for: url, mainDocumentURL: nil)
        }
        let many = try sent(request(method: "GET"), by: try preparation(cookies: cookies)).0.cookie
        #expect((7800...8192).contains(many?.utf8.count ?? 0))
    }

    @Test(arguments: ["Host", "HOST", "Transfer-Encoding", "transfer_encoding"])
    func aHeaderThatLeadsElsewhereIsRefused(name: String) {
        var request = request()
        request.setValue("other.example.com", forHTTPHeaderField: name)
        expectNotSignable(request)
    }

    @Test func anErrorNamesNoQuery() {
        #expect(throws: BonafideError.targetNotCanonical("/a//b")) {
            try sent(request("https://api.example.com/a//b?token=secret"))
        }
    }

    @Test func cookiesOfAnswersAreKeptWhereTheyAreWanted() throws {
        let cookies = try #require(self.cookies)
        let preparation = try preparation(cookies: cookies)
        let url = link("https://api.example.com/login")
        let answer = try #require(
            HTTPURLResponse(
                url: url, statusCode: 302, httpVersion: nil, headerFields: ["Set-Cookie": "sid=7; Path=/; Secure"]))
        var request = request("https://api.example.com/login")
        request.httpShouldHandleCookies = false
        preparation.keepCookies(of: answer, to: request)
        #expect(cookies.cookies(for: url)?.isEmpty != false)
        request.httpShouldHandleCookies = true
        preparation.keepCookies(of: answer, to: request)
        #expect(try sent(request, by: preparation).0.cookie == "sid=7")
    }

    @Test func aFileIsHashedInPiecesLikeAtOnce() throws {
        let file = FileManager.default.temporaryDirectory.appendingPathComponent("bonafide-\(UUID().uuidString)")
        defer { try? FileManager.default.removeItem(at: file) }
        for count in [0, 1, 256 * 1024 - 1, 256 * 1024, 256 * 1024 + 1, 3_000_000] {
            let content = [UInt8]((0..<count).map { UInt8(truncatingIfNeeded: $0 &* 31) })
            try Data(content).write(to: file)
            let (head, sent) = try sent(request(), file: file)
            #expect(head.contentDigest == ContentDigest(of: content, crypto: PlatformCrypto()))
            #expect(head.contentType == "application/octet-stream")
            #expect(sent.httpBody == nil)
        }
        var both = request()
        both.httpBody = Data([1])
        expectNotSignable(both, file: file)
        let gone = file.appendingPathExtension("gone")
        #expect(throws: BonafideError.bodyUnreadable(gone.lastPathComponent)) { try sent(request(), file: gone) }
    }
}
