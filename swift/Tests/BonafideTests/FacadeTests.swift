import BonafideTestSupport
import CryptoKit
import DeviceCheck
import Foundation
import Security
import Testing

@testable import Bonafide
@testable import BonafideCore

#if canImport(FoundationNetworking)
    import FoundationNetworking
#endif

/// The whole SDK as an app has it, but for the service, which is in memory: Apple's half over the stand-ins, the API
/// behind a real connection.
@Suite struct FacadeTests {
    private struct Scene: Sendable {
        let bonafide: Bonafide
        let api: Loopback
        let service: SimulatedService
        let attestations: Guarded<Int>
    }

    private func withScene(
        _ answer: @escaping @Sendable (WireRequest) -> String?, followsRedirects: Bool = false,
        _ work: (Scene) async throws -> Void
    ) async throws {
        let api = Loopback(answer: answer)
        defer { api.stop() }
        let directory = FileManager.default.temporaryDirectory.appendingPathComponent(UUID().uuidString)
        defer { try? FileManager.default.removeItem(at: directory) }
        let service = SimulatedService(app: "shop", clock: SystemClock())
        let attestations = Guarded(0)
        let script = AppAttestScript(
            generateKey: { Data(repeating: 5, count: 32).base64EncodedString() },
            attestKey: { _, _ in
                attestations.withLock { $0 += 1 }
                return Data([1])
            },
            generateAssertion: { _, _ in Data([2]) })
        var options = Bonafide.Options()
        options.identity = "TEAM123456.com.example.app"
        options.cookies = URLSessionConfiguration.ephemeral.httpCookieStorage
        options.followsRedirects = followsRedirects
        let world = World(
            attestor: AppAttest(), crypto: PlatformCrypto(), keys: EnclaveKeys(),
            storage: KeychainStorage(service: "s", app: "shop"), installation: InstallationMarker(directory: directory),
            transport: service, clock: SystemClock())
        let bonafide = Bonafide(
            service: api.url("/bonafide/v1"), app: "shop", serviceKeys: [service.issuer.thumbprint],
            options: options, world: world)
        try await StandInKeychain.$current.withValue(StandInKeychain()) {
            try await StandInEnclave.$current.withValue(StandInEnclave()) {
                try await AppAttestScript.$current.withValue(script) {
                    try await work(Scene(bonafide: bonafide, api: api, service: service, attestations: attestations))
                }
            }
        }
    }

    @Test func threeLinesAreEnough() async throws {
        try await withScene({ _ in answer("200 OK", body: "fine") }) { scene in
            let request = URLRequest(url: scene.api.url("/config?x=1"))
            for _ in 0..<3 {
                let (data, response) = try await scene.bonafide.data(for: request)
                #expect(response.statusCode == 200)
                #expect(String(decoding: data, as: UTF8.self) == "fine")
            }
            #expect(scene.attestations.withLock { $0 } == 1)
            #expect(scene.service.count(.instances) == 1)
            let input = scene.api.requests.flatMap { $0.values("signature-input") }
            #expect(Set(input).count == 3)
            #expect(input.allSatisfy { $0.contains(#"alg="hmac-sha256""#) })
        }
    }

    /// Or a proxy would have a proof of whatever request it wants, with the user's own credentials on it.
    @Test(arguments: ["301 Moved", "302 Found", "303 See Other", "307 Temporary", "308 Permanent"])
    func noRedirectIsSignedUnlessTheAppSaysSo(status: String) async throws {
        let script: @Sendable (WireRequest) -> String? = { _ in answer(status, ["Location: /api/everything?of=1"]) }
        try await withScene(script) { scene in
            for method in ["GET", "POST"] {
                var request = URLRequest(url: scene.api.url("/config"))
                request.httpMethod = method
                let (_, response) = try await scene.bonafide.data(for: request)
                #expect(response.statusCode == Int(status.prefix(3)))
            }
            #expect(scene.api.requests.map(\.line) == ["GET /config HTTP/1.1", "POST /config HTTP/1.1"])
        }
    }

    @Test func aRedirectOnTheSameOriginIsSignedAnewWithTheCookieItBrought() async throws {
        let script: @Sendable (WireRequest) -> String? = {
            $0.line.contains("/login")
                ? answer("303 See Other", ["Location: /profile", "Set-Cookie: sid=1; Path=/"])
                : answer("200 OK", body: "me")
        }
        try await withScene(script, followsRedirects: true) { scene in
            var request = URLRequest(url: scene.api.url("/login"))
            request.httpMethod = "POST"
            request.httpBody = Data("{}".utf8)
            let (data, _) = try await scene.bonafide.data(for: request, proof: .hardware)
            #expect(String(decoding: data, as: UTF8.self) == "me")
            let wire = scene.api.requests
            #expect(wire.map(\.line) == ["POST /login HTTP/1.1", "GET /profile HTTP/1.1"])
            #expect(wire.map { $0.values("cookie") } == [[], ["sid=1"]])
            #expect(wire[1].body.isEmpty)
            #expect(Set(wire.flatMap { $0.values("signature") }).count == 2)
            #expect(wire[1].values("signature-input").allSatisfy { $0.contains(#""cookie""#) })
        }
    }

    @Test func redirectsEndAndLeadToNoOtherHost() async throws {
        let other = Loopback { _ in answer("200 OK") }
        defer { other.stop() }
        let elsewhere = other.url("/a").absoluteString
        let script: @Sendable (WireRequest) -> String? = {
            answer("307 Temporary", ["Location: \($0.line.contains("/out") ? elsewhere : "/round")"])
        }
        try await withScene(script, followsRedirects: true) { scene in
            let (_, round) = try await scene.bonafide.data(for: URLRequest(url: scene.api.url("/round")))
            #expect(round.statusCode == 307)
            #expect(scene.api.requests.count == 1 + Redirect.maxFollowed)
            let (_, out) = try await scene.bonafide.data(for: URLRequest(url: scene.api.url("/out")))
            #expect(out.statusCode == 307)
            #expect(out.value(forHTTPHeaderField: "Location") == elsewhere)
            #expect(other.requests.isEmpty)
            await #expect(throws: BonafideError.self) {
                try await scene.bonafide.data(for: URLRequest(url: other.url("/a")))
            }
            #expect(other.requests.isEmpty)
        }
    }

    @Test func aRefusalThatAsksForANewProofIsFollowedOnce() async throws {
        let script: @Sendable (WireRequest) -> String? = { _ in
            answer("401 Unauthorized", ["Bonafide-Action: sign_again"])
        }
        try await withScene(script) { scene in
            let (_, response) = try await scene.bonafide.data(for: URLRequest(url: scene.api.url("/a")))
            #expect(response.statusCode == 401)
            #expect(scene.api.requests.count == 2)
            var order = URLRequest(url: scene.api.url("/orders"))
            order.httpMethod = "POST"
            let sent = order
            await #expect(throws: BonafideError.outcomeUnknown(.signAgain)) {
                try await scene.bonafide.data(for: sent)
            }
            #expect(scene.api.requests.count == 3)
        }
    }

    @Test func filesGoUpAndDownAndSignedRequestsGoOutByOtherMeans() async throws {
        try await withScene({ _ in answer("200 OK", body: "content") }) { scene in
            let file = FileManager.default.temporaryDirectory.appendingPathComponent(UUID().uuidString)
            defer { try? FileManager.default.removeItem(at: file) }
            try Data("photo".utf8).write(to: file)
            var request = URLRequest(url: scene.api.url("/photos"))
            request.httpMethod = "PUT"
            _ = try await scene.bonafide.upload(for: request, fromFile: file)
            #expect(scene.api.requests.last?.body == Array("photo".utf8))
            let (kept, _) = try await scene.bonafide.download(for: URLRequest(url: scene.api.url("/photos/1")))
            #expect(try String(contentsOf: kept, encoding: .utf8) == "content")
            try FileManager.default.removeItem(at: kept)
            try await scene.bonafide.sign(&request, bodyFile: file)
            let digest = ContentDigest(of: Array("photo".utf8), crypto: PlatformCrypto()).field
            #expect(request.value(forHTTPHeaderField: "Content-Digest") == digest)
            #expect(!request.httpShouldHandleCookies)
        }
    }
}
