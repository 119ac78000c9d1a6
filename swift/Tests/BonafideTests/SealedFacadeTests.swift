import BonafideTestSupport
import Foundation
import Testing

@testable import Bonafide
@testable import BonafideCore

#if canImport(FoundationNetworking)
    import FoundationNetworking
#endif

/// What an app gets of an API that seals, over a real connection.
@Suite(.serialized) struct SealedFacadeTests {
    private static let preface = InnerFields.octets([]).count + 4

    @Test(arguments: [0, 1, 65519 - preface - 1, 65519 - preface, 65519 - preface + 1, 1_000_000])
    func bodiesOfEverySizeComeThrough(octets: Int) async throws {
        let body = (0..<octets).map { UInt8(truncatingIfNeeded: $0 &* 31 >> 3) }
        try await SealedScene.with({ sealedAnswer($0.seal(body)) }) { scene in
            let (data, response) = try await scene.bonafide.data(for: scene.request(), answer: .sealed)
            #expect([UInt8](data) == body)
            #expect(response.expectedContentLength == Int64(octets))
            let (file, _) = try await scene.bonafide.download(for: scene.request(), answer: .sealed)
            defer { try? FileManager.default.removeItem(at: file) }
            #expect(try [UInt8](Data(contentsOf: file)) == body)
        }
    }

    @Test(arguments: [ProofKind.session, .hardware], [200, 201, 404, 500])
    func theAnswerIsTheOneThatTheAPIGave(proof: ProofKind, status: Int) async throws {
        let fields = [
            ("content-type", "application/json"), ("x-note", "inside"), ("x-many", "1"), ("x-many", "2"),
            ("etag", "\"e\""),
        ].map { (name: $0.0, value: $0.1) }
        let outside = ["X-Note: outside", "X-Other: outside", "Server: outside"]
        try await SealedScene.with({
            sealedAnswer($0.seal("{}", status: status, fields), "\(status) Some", outside)
        }) { scene in
            let (data, response) = try await scene.bonafide.data(
                for: scene.request(), proof: proof, answer: .sealed)
            #expect(String(decoding: data, as: UTF8.self) == "{}")
            #expect(response.statusCode == status)
            #expect(response.url == scene.api.url("/api/config"))
            #expect(response.mimeType == "application/json")
            #expect(response.value(forHTTPHeaderField: "Content-Type") == "application/json")
            #expect(response.value(forHTTPHeaderField: "x-note") == "inside")
            #expect(response.value(forHTTPHeaderField: "X-Many") == "1, 2")
            let names = Set(response.allHeaderFields.keys.compactMap { $0 as? String })
            #expect(names == ["Content-Type", "X-Note", "X-Many", "Etag", "Content-Length"])
        }
    }

    @Test func requestsAskForTheWholeAndForNoOtherForm() async throws {
        try await SealedScene.with({ sealedAnswer($0.seal("fine")) }) { scene in
            var request = scene.request()
            for name in ["Range", "If-None-Match", "if-modified-since", "If-Range"] {
                request.setValue("x", forHTTPHeaderField: name)
            }
            request.setValue("gzip", forHTTPHeaderField: "Accept-Encoding")
            request.setValue("kept", forHTTPHeaderField: "X-Iffy")
            _ = try await scene.bonafide.data(for: request, answer: .sealed)
            let wire = try #require(scene.api.requests.last)
            #expect(!wire.headers.contains { $0.name == "range" || $0.name.hasPrefix("if-") })
            #expect(wire.values("accept-encoding") == ["identity"])
            #expect(wire.values("x-iffy") == ["kept"])
            #expect(request.forSealedAnswer().cachePolicy == .reloadIgnoringLocalCacheData)
        }
    }

    @Test func anUploadIsAnsweredSealed() async throws {
        let file = FileManager.default.temporaryDirectory.appendingPathComponent(UUID().uuidString)
        defer { try? FileManager.default.removeItem(at: file) }
        try Data("photo".utf8).write(to: file)
        try await SealedScene.with({ sealedAnswer($0.seal("stored", status: 201), "201 Created") }) { scene in
            let request = scene.request("/photos", "PUT")
            let (data, response) = try await scene.bonafide.upload(for: request, fromFile: file, answer: .sealed)
            #expect(String(decoding: data, as: UTF8.self) == "stored")
            #expect(response.statusCode == 201)
            #expect(scene.api.requests.last?.body == Array("photo".utf8))
        }
    }

    @Test func cookiesAreTakenFromInsideAlone() async throws {
        let inner = [
            ("set-cookie", "sid=1; Path=/"), ("set-cookie", "b=2; Path=/; Expires=Wed, 01 Jan 2200 00:00:00 GMT"),
        ]
        try await SealedScene.with({ exchange in
            sealedAnswer(
                exchange.seal("fine", inner.map { (name: $0.0, value: $0.1) }), "200 OK",
                ["Set-Cookie: forged=1; Path=/", "Set-Cookie: sid=forged; Path=/"])
        }) { scene in
            _ = try await scene.ask()
            _ = try await scene.ask()
            let cookie = try #require(scene.api.requests.last?.values("cookie").first)
            #expect(Set(cookie.components(separatedBy: "; ")) == ["sid=1", "b=2"])
        }
    }

    /// Past URLSession, which over libcurl loses the body of every redirect.
    @Test func redirectsAreThoseFromInside() async throws {
        let service = SimulatedService(app: "shop", clock: SystemClock())
        for isFollowed in [true, false] {
            try await SealedScene.with(service: service, followsRedirects: isFollowed, { _ in nil }) { scene in
                let (data, response, asked) = try await scene.sendPastURLSession("/login", to: service) { path in
                    let inner = [("location", "/profile"), ("set-cookie", "sid=1; Path=/")]
                    return path == "/login" ? (303, "", inner) : (200, "me at \(path)", [])
                }
                #expect(String(decoding: data, as: UTF8.self) == (isFollowed ? "me at /profile" : ""))
                #expect(response.statusCode == (isFollowed ? 200 : 303))
                #expect(asked == (isFollowed ? ["POST /login ", "GET /profile sid=1"] : ["POST /login "]))
                #expect(response.value(forHTTPHeaderField: "Location") == (isFollowed ? nil : "/profile"))
            }
        }
    }

    #if !canImport(Darwin)
        @Test func aRedirectOverLibcurlIsNotTakenForAWholeAnswer() async throws {
            try await SealedScene.with(
                followsRedirects: true,
                { exchange in
                    sealedAnswer(exchange.seal("", status: 303, [("location", "/profile")]), "303 See Other")
                }
            ) { scene in
                #expect(await scene.refusal() == .sealRefused("sealed.truncated"))
                #expect(scene.api.requests.count == 1)
            }
        }
    #endif

    @Test func anAnswerInClearIsAskedForAsBefore() async throws {
        try await SealedScene.with({ exchange in
            exchange.path == "/sealed"
                ? sealedAnswer(exchange.seal("secret")) : sealedAnswer(Array("plain".utf8), type: "text/plain")
        }) { (scene) async throws in
            let plain = try await scene.ask("/plain", answer: .clear).0
            #expect(plain == "plain")
            #expect(await scene.refusal("/sealed", answer: .clear) == .answerRefused("sealed.unexpected"))
            let secret = try await scene.ask("/sealed").0
            #expect(secret == "secret")
            await #expect(throws: BonafideError.answerRefused("sealed.unexpected")) {
                try await scene.bonafide.download(for: scene.request("/sealed"))
            }
        }
    }

    @Test func headIsNotSentAndRedirectsToItNeither() async throws {
        try await SealedScene.with({ sealedAnswer($0.seal("x")) }) { scene in
            _ = try await scene.ask()
            do {
                _ = try await scene.bonafide.data(for: scene.request("/a", "HEAD"), answer: .sealed)
                Issue.record("it was sent")
            } catch BonafideError.requestNotSignable(let text) {
                #expect(text.hasPrefix("HEAD"))
            }
            #expect(scene.api.requests.count == 1)
        }
    }

    @Test func requestsThatAreSentByOtherMeansAreOpenedByWhatSignedThem() async throws {
        try await SealedScene.with({ exchange in
            exchange.path == "/sealed"
                ? sealedAnswer(exchange.seal("secret")) : sealedAnswer([1], "403 Forbidden", type: nil)
        }) { (scene) async throws in
            var request = scene.request("/sealed")
            let opener = try await scene.bonafide.signForSealedAnswer(&request)
            #expect(request.value(forHTTPHeaderField: "Accept-Encoding") == "identity")
            let (wire, head) = try await scene.bonafide.courier.data(for: request)
            #expect(String(decoding: wire, as: UTF8.self) != "secret")
            let (data, response) = try opener.open(wire, head)
            #expect(String(decoding: data, as: UTF8.self) == "secret")
            #expect(response.expectedContentLength == 6)
            let file = FileManager.default.temporaryDirectory.appendingPathComponent(UUID().uuidString)
            defer { try? FileManager.default.removeItem(at: file) }
            try wire.write(to: file)
            let (opened, _) = try opener.open(file: file, head)
            defer { try? FileManager.default.removeItem(at: opened) }
            #expect(try Data(contentsOf: opened) == Data("secret".utf8))
            var other = scene.request("/sealed")
            let another = try await scene.bonafide.signForSealedAnswer(&other)
            #expect(throws: BonafideError.sealRefused("sealed.record_invalid")) { try another.open(wire, head) }
            var clear = scene.request("/clear")
            let useless = try await scene.bonafide.signForSealedAnswer(&clear)
            let (plain, refused) = try await scene.bonafide.courier.data(for: clear)
            let notSealed = BonafideError.answerNotSealed(status: 403, action: nil, record: nil)
            #expect(throws: notSealed) { try useless.open(plain, refused) }
            #expect(throws: notSealed) { try useless.open(file: file, refused) }
            var empty = scene.request("/sealed", "HEAD")
            await #expect(throws: BonafideError.self) { try await scene.bonafide.signForSealedAnswer(&empty) }
            #expect("\(opener)" == "AnswerOpener(redacted)" && Mirror(reflecting: opener).children.isEmpty)
        }
    }

    @Test func whatIsTooLargeToHoldIsForAFile() async throws {
        try await SealedScene.with({ exchange in
            sealedAnswer(exchange.seal([UInt8](repeating: 1, count: 100_000)))
        }) { scene in
            _ = try await scene.ask()  // enrols
            let (client, preparation) = try scene.bonafide.ready()
            let signable = try SignableRequest(scene.request(), file: nil, by: preparation)
            for (limit, isHeld) in [(37 + 2 * 65536, true), (37 + 2 * 65536 - 1, false)] {
                let fields = try await client.prove(signable.head)
                let taking = SealedTaking(crypto: PlatformCrypto(), heldOctets: limit)
                do {
                    let received = try await taking.data(
                        for: signable.proven(by: fields), fromFile: nil, fields, by: scene.bonafide.courier)
                    #expect(isHeld && received.body?.count == 100_000)
                } catch {
                    #expect(!isHeld && error as? BonafideError == .sealRefused("sealed.too_large"))
                }
            }
            #expect(SealedTaking(crypto: PlatformCrypto()).heldOctets == 96 << 20)
        }
    }
}
