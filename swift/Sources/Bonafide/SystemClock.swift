public import BonafideCore
import Foundation

#if canImport(Darwin)
    import Darwin
#else
    import Glibc
#endif

/// The device's time.
public struct SystemClock: BonafideCore.Clock {
    public init() {}

    public func wall() -> Double { Date().timeIntervalSince1970 }

    /// Since the device started, its sleep counted: a clock that stops in sleep would call an old session fresh.
    public func steady() -> Double {
        var time = timespec()
        #if canImport(Darwin)
            let status = clock_gettime(CLOCK_MONOTONIC_RAW, &time)
        #else
            let status = clock_gettime(CLOCK_BOOTTIME, &time)
        #endif
        precondition(status == 0, "the system has no monotonic clock")
        return Double(time.tv_sec) + Double(time.tv_nsec) / 1e9
    }

    /// Waits. Throws `CancellationError`.
    public func sleep(_ seconds: Double) async throws {
        // Longer than a year, or no number, would not fit; nothing asks for that.
        let bounded = seconds.isFinite ? min(max(seconds, 0), 31_536_000) : 0
        try await Task.sleep(nanoseconds: UInt64(bounded * 1e9))
    }
}
