import BonafideCore

/// The pins that hold in a process: those of the newest document that it knows, or none.
final class PinBoard: Sendable {
    private let document: Guarded<PinDocument?>
    private let clock: any BonafideCore.Clock

    init(_ document: PinDocument?, clock: any BonafideCore.Clock) {
        self.document = Guarded(document)
        self.clock = clock
    }

    /// The document that holds; nil where there is none.
    var held: PinDocument? { document.withLock { $0 } }

    /// Takes another document in the place of the one that holds. False where that is as new or newer.
    @discardableResult func hold(_ newer: PinDocument?) -> Bool {
        guard let newer else { return false }
        return document.withLock { document in
            guard newer.replaces(document) else { return false }
            document = newer
            return true
        }
    }

    /// Whether anything has to be looked at for this host.
    func concerns(_ host: String) -> Bool { held?.concerns(host, at: clock.wall()) ?? false }

    func admits(_ keys: [[UInt8]], of host: String) -> Bool {
        held?.admits(keys, of: host, at: clock.wall()) ?? true
    }
}
