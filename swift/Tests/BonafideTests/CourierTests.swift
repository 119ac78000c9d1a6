import Foundation
import Testing

@testable import Bonafide
@testable import BonafideCore

#if canImport(FoundationNetworking)
    import FoundationNetworking
#endif

/// What leaves the machine, over a real connection.
///
/// Here URLSession is the one over libcurl. It differs from Apple's: no server trust is asked for, a 401 with `Basic`
/// never ends (swift-corelibs-foundation, issue 5456), and the body of a redirect that is not followed is lost. What
/// CFNetwork adds by itself to a request (form content types, say) is not shown by these tests.
@Suite struct CourierTests {
    private func courier(_ change: (URLSessionConfiguration) -> Void = { _ in }) -> URLCourier {
        let configuration = URLSessionConfiguration.ephemeral
        change(configuration)
        return URLCourier(configuration: configuration, pins: PinBoard(nil, clock: SystemClock()))
    }

    private func prepared(
        _ request: URLRequest, at server: Loopback, file: URL? = nil, cookies: HTTPCookieStorage? = nil,
        courier: URLCourier
    ) throws -> (RequestHead, URLRequest) {
        let preparation = Preparation(
            origins: [try Origin(of: server.url("/"))], cookies: cookies,
            additionalHeaders: courier.additionalHeaders, crypto: PlatformCrypto())
        let signable = try SignableRequest(request, file: file, by: preparation)
        let base = HTTPSignature.base(
            of: signable.head, attestation: "jwt",
            parameters: .init(created: 1, nonce: "n", keyID: "k", algorithm: .session))
        let fields = ProofFields(base: base, signature: [1], request: signable.head, attestation: "jwt")
        return (signable.head, signable.proven(by: fields))
    }

    /// Each covered component on the wire is the one that was signed.
    private func expectCovered(_ wire: WireRequest, _ head: RequestHead) {
        #expect(wire.line == "\(head.method) \(head.target.text) HTTP/1.1")
        #expect(wire.values("host") == [head.authority])
        #expect(wire.values("authorization") == (head.authorization.map { [$0] } ?? []))
        #expect(wire.values("cookie") == (head.cookie.map { [$0] } ?? []))
        #expect(wire.values("content-type") == (head.contentType.map { [$0] } ?? []))
        #expect(wire.values("content-digest") == [head.contentDigest.field])
        #expect(ContentDigest(of: wire.body, crypto: PlatformCrypto()) == head.contentDigest)
        #expect(wire.values("oauth-client-attestation") == ["jwt"])
        #expect(wire.values("signature").count == 1)
        #expect(wire.values("signature-input").count == 1)
    }

    @Test(arguments: ["GET", "POST", "PUT", "DELETE"], [nil, "", "a=b"])
    func whatWasSignedIsWhatArrives(method: String, body: String?) async throws {
        // A GET with a body is refused by URLSession itself.
        guard method != "GET" || body == nil else { return }
        let server = Loopback { _ in answer("200 OK", body: "fine") }
        defer { server.stop() }
        var request = URLRequest(url: server.url("/caf%c3%a9/%7e?q=%7e&r=a+b"))
        request.httpMethod = method
        request.httpBody = body.map { Data($0.utf8) }
        request.setValue("Bearer t", forHTTPHeaderField: "Authorization")
        request.setValue("a=1; b=2", forHTTPHeaderField: "Cookie")
        let courier = courier()
        let (head, sent) = try prepared(request, at: server, courier: courier)
        let (data, response) = try await courier.data(for: sent)
        #expect(String(decoding: data, as: UTF8.self) == "fine")
        #expect(response.statusCode == 200)
        expectCovered(try #require(server.requests.first), head)
    }

    @Test func fieldsAndCookiesOfASessionDoNotSlipIn() async throws {
        let server = Loopback { _ in answer("200 OK", ["Set-Cookie: sid=1; Path=/"]) }
        defer { server.stop() }
        let courier = courier {
            $0.httpAdditionalHeaders = ["Authorization": "Bearer s", "X-App": "1"]
            $0.httpShouldSetCookies = true
        }
        for _ in 0..<2 {
            let (head, sent) = try prepared(URLRequest(url: server.url("/a")), at: server, courier: courier)
            #expect(head.authorization == "Bearer s")
            _ = try await courier.data(for: sent)
            expectCovered(try #require(server.requests.last), head)
        }
        #expect(server.requests.map { $0.values("x-app") } == [["1"], ["1"]])
    }

    @Test func cookiesOfAnAnswerComeBackSigned() async throws {
        let server = Loopback { _ in answer("200 OK", ["Set-Cookie: sid=1; Path=/", "Set-Cookie: b=2; Path=/"]) }
        defer { server.stop() }
        let courier = courier()
        let cookies = URLSessionConfiguration.ephemeral.httpCookieStorage
        let preparation = Preparation(
            origins: [], cookies: cookies, additionalHeaders: [:], crypto: PlatformCrypto())
        let request = URLRequest(url: server.url("/a"))
        let (_, first) = try prepared(request, at: server, cookies: cookies, courier: courier)
        preparation.keepCookies(of: try await courier.data(for: first).1, to: request)
        let (head, second) = try prepared(request, at: server, cookies: cookies, courier: courier)
        #expect(head.cookie.map { Set($0.components(separatedBy: "; ")) } == ["sid=1", "b=2"])
        _ = try await courier.data(for: second)
        expectCovered(try #require(server.requests.last), head)
    }

    @Test(arguments: ["301 Moved", "302 Found", "303 See Other", "307 Temporary", "308 Permanent"])
    func noRedirectIsFollowed(status: String) async throws {
        let other = Loopback { _ in answer("200 OK") }
        let server = Loopback { _ in answer(status, ["Location: \(other.url("/a").absoluteString)"], body: "moved") }
        defer { server.stop(); other.stop() }
        let (data, response) = try await courier().data(for: URLRequest(url: server.url("/a")))
        #expect(response.statusCode == Int(status.prefix(3)))
        #if canImport(Darwin)
            #expect(String(decoding: data, as: UTF8.self) == "moved")
        #else
            #expect(data.isEmpty)  // over libcurl the body of a redirect is lost
        #endif
        #expect(response.value(forHTTPHeaderField: "Location") == other.url("/a").absoluteString)
        #expect(other.requests.isEmpty)
    }

    #if canImport(Darwin)
        static let challenges = ["ClientAttestation error=\"use_fresh_attestation\"", "Basic realm=\"x\""]
    #else
        static let challenges = ["ClientAttestation error=\"use_fresh_attestation\""]
    #endif

    @Test(arguments: challenges)
    func aRefusalComesToTheCaller(challenge: String) async throws {
        let server = Loopback { _ in answer("401 Unauthorized", ["WWW-Authenticate: \(challenge)"], body: "{}") }
        defer { server.stop() }
        let (data, response) = try await courier().data(for: URLRequest(url: server.url("/a")))
        #expect(response.statusCode == 401)
        #expect(String(decoding: data, as: UTF8.self) == "{}")
        #expect(response.value(forHTTPHeaderField: "WWW-Authenticate") == challenge)
        #expect(server.requests.count == 1)
    }

    @Test func aFileIsUploaded() async throws {
        let server = Loopback { _ in answer("201 Created") }
        let file = FileManager.default.temporaryDirectory.appendingPathComponent("bonafide-\(UUID().uuidString)")
        defer { server.stop(); try? FileManager.default.removeItem(at: file) }
        try Data((0..<1_000_000).map { UInt8(truncatingIfNeeded: $0) }).write(to: file)
        var request = URLRequest(url: server.url("/photos"))
        request.httpMethod = "POST"
        let courier = courier()
        let (head, sent) = try prepared(request, at: server, file: file, courier: courier)
        #expect(try await courier.upload(for: sent, fromFile: file).1.statusCode == 201)
        expectCovered(try #require(server.requests.first), head)
    }

    @Test func aDownloadIsTheCallersToRemove() async throws {
        let server = Loopback { _ in answer("200 OK", body: "content") }
        defer { server.stop() }
        let (file, response) = try await courier().download(for: URLRequest(url: server.url("/a")))
        #expect(response.statusCode == 200)
        #expect(try String(contentsOf: file, encoding: .utf8) == "content")
        try FileManager.default.removeItem(at: file)
    }

    @Test func cancellingTheTaskCancelsTheTransfer() async throws {
        let server = Loopback { _ in nil }
        defer { server.stop() }
        let courier = courier()
        let task = Task { try await courier.data(for: URLRequest(url: server.url("/a"))) }
        while server.requests.isEmpty { await Task.yield() }
        task.cancel()
        await #expect(throws: URLError.self) { try await task.value }
        let late = Task {
            while !Task.isCancelled { await Task.yield() }
            return try await courier.data(for: URLRequest(url: server.url("/b")))
        }
        late.cancel()
        await #expect(throws: URLError.self) { try await late.value }
    }

    /// The service's answers are small; a proxy's may be anything.
    @Test(arguments: [65536, 65537, 20_000_000])
    func noMoreIsReadOfAnAnswerThanTheServiceEverSends(octets: Int) async throws {
        let server = Loopback { _ in answer("200 OK", body: String(repeating: "a", count: octets)) }
        defer { server.stop() }
        let message = ServiceMessage(url: server.url("/v1/challenge").absoluteString, headers: [], body: [1])
        if octets <= 65536 {
            #expect(try await URLSessionTransport().send(message).body.count == octets)
        } else {
            await #expect(throws: BonafideError.answerRefused("size")) {
                try await URLSessionTransport().send(message)
            }
        }
    }

    /// URLSession's own time is one between octets: all requests wait for this one.
    @Test func anAnswerThatNeverEndsIsGivenUp() async throws {
        let server = Loopback(octetsPerSecond: 20) { _ in
            answer("200 OK", body: String(repeating: "a", count: 1000))
        }
        defer { server.stop() }
        let message = ServiceMessage(url: server.url("/v1/challenge").absoluteString, headers: [], body: [1])
        let transport = URLSessionTransport(courier: courier(), within: 1)
        // The answer comes whole for who waits.
        await #expect(throws: URLError.self) { try await transport.send(message) }
    }

    @Test func serviceMessagesArriveAsTheyAre() async throws {
        let server = Loopback { _ in answer("503 Busy", ["Retry-After: 7", "Bonafide-Action: back_off"], body: "{}") }
        defer { server.stop() }
        let message = ServiceMessage(
            url: server.url("/bonafide/v1/challenge").absoluteString,
            headers: [("content-type", "application/json"), ("content-digest", "d")], body: Array("{}".utf8))
        let got = try await URLSessionTransport().send(message)
        #expect(got.head.status == 503)
        #expect(got.head.action == .backOff)
        #expect(got.body == Array("{}".utf8))
        let wire = try #require(server.requests.first)
        #expect(wire.line == "POST /bonafide/v1/challenge HTTP/1.1")
        #expect(wire.values("content-type") == ["application/json"])
        #expect(wire.values("content-digest") == ["d"])
        #expect(wire.body == Array("{}".utf8))
    }
}
