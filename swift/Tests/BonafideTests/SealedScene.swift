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

/// An app that wants sealed answers, an API behind a real connection that seals them, and somebody on the way.
struct SealedScene: Sendable {
    let bonafide: Bonafide
    let api: SealingServer
    let cookies: HTTPCookieStorage?

    func request(_ target: String = "/api/config", _ method: String = "GET") -> URLRequest {
        var request = URLRequest(url: api.url(target))
        request.httpMethod = method
        return request
    }

    /// What the caller gets: status and body.
    func ask(_ target: String = "/api/config", answer: AnswerKind = .sealed) async throws -> (String, HTTPURLResponse) {
        let (data, response) = try await bonafide.data(for: request(target), answer: answer)
        return (String(decoding: data, as: UTF8.self), response)
    }

    /// The error that the caller gets; nil where there is none.
    func refusal(_ target: String = "/api/config", answer: AnswerKind = .sealed) async -> BonafideError? {
        do {
            _ = try await ask(target, answer: answer)
            return nil
        } catch {
            return error as? BonafideError
        }
    }

    /// Asks for a sealed answer to a POST, with a sender of its own. `answer` says status, body and fields by path. Returns
    /// also what was asked: method, path, cookie.
    func sendPastURLSession(
        _ target: String, to service: SimulatedService,
        answer: @Sendable (String) -> (Int, String, [(String, String)])
    ) async throws -> (Data, HTTPURLResponse, [String]) {
        let asked = Guarded<[String]>([])
        let taking = SealedTaking(crypto: PlatformCrypto())
        let (data, response) = try await bonafide.exchange(
            request(target, "POST"), file: nil, proof: .session, answer: .sealed
        ) { request, _, fields -> Received<Data> in
            let url = try #require(request.url)
            let method = request.httpMethod ?? "GET"
            let headers = request.allHTTPHeaderFields ?? [:]
            let signed = try #require(SignedRequest(method: method, url: url.absoluteString, headers: headers))
            asked.withLock { $0.append("\(method) \(url.path) \(headers["Cookie"] ?? "")") }
            let (status, body, inner) = answer(url.path)
            let sealed = try #require(service.session(of: signed)).seal(
                Array(body.utf8), status: status, fields: inner.map { (name: $0.0, value: $0.1) }, answering: signed)
            let response = try #require(
                HTTPURLResponse(
                    url: url, statusCode: status, httpVersion: "HTTP/1.1",
                    headerFields: [
                        "Content-Type": SealedForm.contentType, "Location": "/forged", "Set-Cookie": "forged=1",
                    ]))
            return try taking.open(Data(sealed.body), response, fields)
        }
        return (data, response, asked.withLock { $0 })
    }

    static func with(
        service: SimulatedService = SimulatedService(app: "shop", clock: SystemClock()), followsRedirects: Bool = false,
        _ reply: @escaping @Sendable (SealingServer.Exchange) -> [UInt8]?,
        _ work: (SealedScene) async throws -> Void
    ) async throws {
        let api = SealingServer(service, reply)
        defer { api.stop() }
        let directory = FileManager.default.temporaryDirectory.appendingPathComponent(UUID().uuidString)
        defer { try? FileManager.default.removeItem(at: directory) }
        var options = Bonafide.Options()
        options.identity = "TEAM123456.com.example.app"
        options.cookies = URLSessionConfiguration.ephemeral.httpCookieStorage
        options.followsRedirects = followsRedirects
        let world = World(
            attestor: SoftwareAttestor(appID: "TEAM123456.com.example.app"), crypto: PlatformCrypto(),
            keys: SoftwareDeviceKeys(), storage: MemoryStorage(),
            installation: InstallationMarker(directory: directory), transport: service, clock: SystemClock())
        let bonafide = Bonafide(
            service: api.url("/bonafide/v1"), app: "shop", serviceKeys: [service.issuer.thumbprint], options: options,
            world: world)
        try await work(SealedScene(bonafide: bonafide, api: api, cookies: options.cookies))
    }
}

/// An HTTP server whose answers are octets.
final class SealingServer: Sendable {
    /// One request, and what seals answers to it.
    struct Exchange: Sendable {
        let request: WireRequest
        let service: SimulatedService
        let url: String
        /// How many requests came before.
        let number: Int

        var path: String { String(request.line.split(separator: " ")[1]) }

        /// The sealed octets of an answer to this very request.
        func seal(
            _ body: [UInt8], status: Int = 200, _ fields: [(name: String, value: String)] = [], as method: String? = nil
        ) -> [UInt8] {
            let headers = Dictionary(request.headers.map { ($0.name, $0.value) }) { first, _ in first }
            let method = method ?? String(request.line.prefix { $0 != " " })
            guard let signed = SignedRequest(method: method, url: url, headers: headers),
                let session = service.session(of: signed)
            else { return [] }
            return session.seal(body, status: status, fields: fields, answering: signed).body
        }

        func seal(
            _ body: String, status: Int = 200, _ fields: [(name: String, value: String)] = []
        ) -> [UInt8] { seal(Array(body.utf8), status: status, fields) }
    }

    private let server: Loopback

    var port: UInt16 { server.port }
    var requests: [WireRequest] { server.requests }

    init(_ service: SimulatedService, _ reply: @escaping @Sendable (Exchange) -> [UInt8]?) {
        let count = Guarded(0)
        server = Loopback(
            octetsPerSecond: nil,
            octets: { request in
                let number = count.withLock { count in
                    defer { count += 1 }
                    return count
                }
                let host = request.values("host").first ?? ""
                let target = request.line.split(separator: " ")[1]
                return reply(
                    Exchange(request: request, service: service, url: "http://\(host)\(target)", number: number))
            })
    }

    func url(_ target: String) -> URL { server.url(target) }
    func stop() { server.stop() }
}

/// A whole answer of these octets that ends its connection. Without a length it ends where the connection does.
func sealedAnswer(
    _ octets: [UInt8], _ status: String = "200 OK", _ headers: [String] = [],
    type: String? = "application/bonafide-sealed", length: Int? = nil
) -> [UInt8] {
    var lines = ["HTTP/1.1 \(status)", "Content-Length: \(length ?? octets.count)", "Connection: close"]
    lines.append("Cache-Control: private, no-store, no-transform")
    if let type { lines.append("Content-Type: \(type)") }
    return Array(((lines + headers).joined(separator: "\r\n") + "\r\n\r\n").utf8) + octets
}
