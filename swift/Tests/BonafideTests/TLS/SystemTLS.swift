import Foundation
import Security

@testable import Bonafide
@testable import BonafideCore

#if canImport(FoundationNetworking)
    import FoundationNetworking
#endif

/// Where the system's own TLS is on a device: connects, asks the task's delegate about what the server showed, and
/// sends the request only then. URLSession on Linux asks nobody.
///
/// Certificates, chain and the system's judgement are real, by openssl. That Apple's systems ask the delegate in this
/// order, and report a refusal as `cancelled` with the URL, is what their documentation says and is assumed here.
final class SystemTLS: URLProtocol {
    struct Place: Sendable {
        let server: TLSServer
        let ca: TestCA
        /// Whether the system trusts the CA.
        var isTrusted = true
    }

    /// Where a host is found.
    static let places = Guarded<[String: Place]>([:])

    override class func canInit(with request: URLRequest) -> Bool {
        guard request.url?.scheme == "https", let host = request.url?.host else { return false }
        return places.withLock { $0[host] != nil }
    }

    override class func canonicalRequest(for request: URLRequest) -> URLRequest { request }

    override func startLoading() {
        guard let url = request.url, let host = url.host, let place = Self.places.withLock({ $0[host] }),
            let delegate = task?.delegate as? CourierDelegate
        else { return fail(.badURL) }
        do {
            let trust = try Self.handshake(host, place)
            guard delegate.admits(trust, of: host) else { return fail(.cancelled) }
            guard trust.isTrusted else { return fail(.serverCertificateUntrusted) }
            let (status, body) = try Self.send(request, host, place)
            guard let response = HTTPURLResponse(url: url, statusCode: status, httpVersion: nil, headerFields: [:])
            else { return fail(.badServerResponse) }
            client?.urlProtocol(self, didReceive: response, cacheStoragePolicy: .notAllowed)
            client?.urlProtocol(self, didLoad: Data(body.utf8))
            client?.urlProtocolDidFinishLoading(self)
        } catch {
            fail(.cannotConnectToHost)
        }
    }

    override func stopLoading() {}

    private func fail(_ code: URLError.Code) {
        let information: [String: Any] = request.url.map { [NSURLErrorFailingURLErrorKey: $0] } ?? [:]
        client?.urlProtocol(self, didFailWithError: URLError(code, userInfo: information))
    }

    /// The chain that a server shows, the system's word on it, and each key as Apple's systems export it.
    private static func handshake(_ host: String, _ place: Place) throws -> SecTrust {
        let said = try OpenSSL.run(
            words(host, place) + ["-showcerts", "-verify_hostname", host], in: place.ca.directory)
        let chain = try said.matches(of: /-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/).map { match in
            try certificate(String(match.0), in: place.ca.directory)
        }
        return SecTrust(chain: chain, isTrusted: said.contains("Verify return code: 0 (ok)"))
    }

    private static func certificate(_ pem: String, in directory: URL) throws -> SecCertificate {
        let key = try OpenSSL.run(["x509", "-pubkey", "-noout"], in: directory, input: pem)
        let base64 = key.split(separator: "\n").filter { !$0.hasPrefix("-") }.joined()
        guard let info = Data(base64Encoded: base64), let kind = ServerKey(info: [UInt8](info)) else {
            throw OpenSSL.Failure(said: key)
        }
        let (type, bits) =
            switch kind {
            case .rsa2048: (kSecAttrKeyTypeRSA, 2048)
            case .p256: (kSecAttrKeyTypeECSECPrimeRandom, 256)
            case .p384: (kSecAttrKeyTypeECSECPrimeRandom, 384)
            }
        return SecCertificate(
            key: SecKey(external: Data(kind.exported([UInt8](info))), type: type as String, bits: bits))
    }

    private static func send(_ request: URLRequest, _ host: String, _ place: Place) throws -> (Int, String) {
        let lines = ["GET \(request.url?.path ?? "/") HTTP/1.0", "Host: \(host)", "", ""]
        let answer = try OpenSSL.run(
            words(host, place) + ["-quiet", "-verify_quiet"], in: place.ca.directory,
            input: lines.joined(separator: "\r\n"))
        guard let status = answer.split(separator: " ").dropFirst().first.flatMap({ Int($0) }) else {
            throw OpenSSL.Failure(said: answer)
        }
        return (status, answer)
    }

    private static func words(_ host: String, _ place: Place) -> [String] {
        ["s_client", "-connect", "127.0.0.1:\(place.server.port)", "-servername", host]
            + (place.isTrusted ? ["-CAfile", "ca.pem"] : ["-no-CAfile", "-no-CApath"])
    }
}
