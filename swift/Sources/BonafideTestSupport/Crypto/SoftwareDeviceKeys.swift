public import BonafideCore

/// The device's keys in software, and what befalls them. Two clients may share one.
public final class SoftwareDeviceKeys: DeviceKeys {
    private struct State {
        var signingKeysMade = 0
        var agreementKeysMade = 0
        var makeFailure: KeyFailure?
        var restoreFailure: KeyFailure?
        var useFailure: KeyFailure?
    }

    private let state = Guarded(State())

    public init() {}

    /// How many keys `sign` were made, not counted those that were found again.
    public var signingKeysMade: Int { state.withLock { $0.signingKeysMade } }

    /// How many keys `agree` were made.
    public var agreementKeysMade: Int { state.withLock { $0.agreementKeysMade } }

    /// What the making of keys throws; nil where it works.
    public var makeFailure: KeyFailure? {
        get { state.withLock { $0.makeFailure } }
        set { state.withLock { $0.makeFailure = newValue } }
    }

    /// What finding a key by its stored form throws: `.lost` is another device, `.unavailable` a locked one.
    public var restoreFailure: KeyFailure? {
        get { state.withLock { $0.restoreFailure } }
        set { state.withLock { $0.restoreFailure = newValue } }
    }

    /// What signing and agreeing throw, by every key that this has given out.
    public var useFailure: KeyFailure? {
        get { state.withLock { $0.useFailure } }
        set { state.withLock { $0.useFailure = newValue } }
    }

    public func makeSigningKey() throws -> any SigningKey {
        try state.withLock { state in
            if let failure = state.makeFailure { throw failure }
            state.signingKeysMade += 1
        }
        return SoftwareSigningKey(EllipticKey(.p256), permit: permit)
    }

    public func makeAgreementKey() throws -> any AgreementKey {
        try state.withLock { state in
            if let failure = state.makeFailure { throw failure }
            state.agreementKeysMade += 1
        }
        return SoftwareAgreementKey(EllipticKey(.p256), permit: permit)
    }

    public func signingKey(_ representation: [UInt8]) throws -> any SigningKey {
        SoftwareSigningKey(try restore(representation), permit: permit)
    }

    public func agreementKey(_ representation: [UInt8]) throws -> any AgreementKey {
        SoftwareAgreementKey(try restore(representation), permit: permit)
    }

    private func restore(_ representation: [UInt8]) throws -> EllipticKey {
        if let failure = restoreFailure { throw failure }
        guard let key = EllipticKey(.p256, scalar: representation) else { throw KeyFailure.lost }
        return key
    }

    private var permit: @Sendable () throws -> Void {
        { [state] in
            if let failure = state.withLock({ $0.useFailure }) { throw failure }
        }
    }
}
