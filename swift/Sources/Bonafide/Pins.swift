import BonafideCore
import Foundation

/// Which keys the servers of an app may show, as a service key signed it.
///
/// The document is a compact JWS of `typ` `bonafide-pins+jwt`; its claims are exactly `app`, `version`, `exp`, and
/// `pins`: for each host SHA-256, in base64, of at least two SubjectPublicKeyInfos, one of them a spare.
struct Pins: Hashable, Sendable {
    static let type = "bonafide-pins+jwt"
    static let maxOctets = 32 * 1024

    let version: Int
    /// Seconds since 1970. From then on the system's own judgement alone counts: an app that nobody updates any more
    /// must not lock its users out when the servers' keys have long changed.
    let expiresAt: Int
    /// Host in lower case; digests of 32 octets.
    let digests: [String: Set<Data>]

    /// Takes a document that a pinned service key signed for this app. Throws `BonafideError.answerRefused`.
    ///
    /// Proves nothing of its age: an older document of the same app is as valid, until `expiresAt`.
    init(document: String, app: String, serviceKeys: Set<String>, crypto: some Crypto) throws {
        let payload: [UInt8]
        do {
            payload = try PinnedSignature.verify(
                document, type: Self.type, pins: serviceKeys, crypto: crypto, maxOctets: Self.maxOctets)
        } catch {
            throw BonafideError.answerRefused("pins.signature_refused")
        }
        guard let body = JSONReader.object(payload, maxOctets: Self.maxOctets),
            body.names == ["app", "version", "exp", "pins"], let version = body["version"]?.integer, version >= 0,
            let expiresAt = body["exp"]?.integer, expiresAt >= 0, let digests = Self.digests(body["pins"])
        else { throw BonafideError.answerRefused("pins.malformed") }
        guard body["app"]?.text == app else { throw BonafideError.answerRefused("pins.app_mismatch") }
        self.version = version
        self.expiresAt = expiresAt
        self.digests = digests
    }

    /// Whether a server may show a chain of these keys (SHA-256 of each SubjectPublicKeyInfo). Hosts without pins may
    /// show any.
    func admits(_ keys: some Sequence<Data>, of host: String, at now: Double) -> Bool {
        guard now < Double(expiresAt), let pinned = digests[host.lowercased()] else { return true }
        return keys.contains { pinned.contains($0) }
    }

    private static func digests(_ value: JSON?) -> [String: Set<Data>]? {
        guard case .object(let hosts)? = value else { return nil }
        var digests: [String: Set<Data>] = [:]
        for host in hosts {
            guard let texts = host.value.elements, host.name == host.name.lowercased(), !host.name.isEmpty else {
                return nil
            }
            let pins = texts.compactMap { $0.text.flatMap { Data(base64Encoded: $0) } }.filter { $0.count == 32 }
            guard pins.count == texts.count, Set(pins).count >= 2 else { return nil }
            digests[host.name] = Set(pins)
        }
        return digests
    }
}

/// The pins that hold in a process: those of `Options.pins`, or none.
final class PinBoard: Sendable {
    private let pins: Pins?
    private let clock: any BonafideCore.Clock

    init(_ pins: Pins?, clock: any BonafideCore.Clock) {
        self.pins = pins
        self.clock = clock
    }

    /// Whether anything has to be looked at for this host.
    func concerns(_ host: String) -> Bool {
        pins.map { clock.wall() < Double($0.expiresAt) && $0.digests[host.lowercased()] != nil } ?? false
    }

    func admits(_ keys: [Data], of host: String) -> Bool {
        pins?.admits(keys, of: host, at: clock.wall()) ?? true
    }

    /// Refuses a document of a lower version than this install has seen: it may be one that a leaked key was taken
    /// out of. Throws `BonafideError.answerRefused`, and what the file system reports.
    static func admitVersion(of pins: Pins, seenIn directory: URL) throws {
        let file = try SmallFile(named: "pins", in: directory)
        let seen = try file.read().flatMap { Int($0) }
        if let seen, pins.version < seen { throw BonafideError.answerRefused("pins.version_rolled_back") }
        guard pins.version != seen else { return }
        if seen != nil { try file.remove() }
        _ = try file.create(String(pins.version))
    }
}
