import Testing

@testable import BonafideCore

@Suite struct PromiseTests {
    @Test func everyWaiterGetsTheOutcome() async throws {
        let promise = Promise()
        try await withThrowingTaskGroup(of: Void.self) { group in
            for _ in 0..<500 { group.addTask { try await promise.wait() } }
            group.addTask { promise.fulfil(.success(())) }
            try await group.waitForAll()
        }
        try await promise.wait()
    }

    @Test func theFirstOutcomeCounts() async {
        let promise = Promise()
        promise.fulfil(.failure(Killed()))
        promise.fulfil(.success(()))
        await #expect(throws: Killed.self) { try await promise.wait() }
    }

    @Test func aCancelledWaiterLeavesWhenever() async {
        for _ in 0..<300 {
            let promise = Promise()
            let cancelled = Task { try await promise.wait() }
            let other = Task { try await promise.wait() }
            let fulfilling = Task { promise.fulfil(.success(())) }
            cancelled.cancel()
            // Either is right, as long as it ends.
            _ = await cancelled.result
            await #expect(throws: Never.self) { try await other.value }
            await fulfilling.value
        }
        let never = Promise()
        let cancelled = Task { try await never.wait() }
        cancelled.cancel()
        await #expect(throws: CancellationError.self) { try await cancelled.value }
    }
}

@Suite struct TurnstileTests {
    @Test func oneAtATimeAndNobodyIsForgotten() async throws {
        let turnstile = Turnstile()
        let inside = Guarded(0)
        let passed = Guarded(0)
        await withTaskGroup(of: Void.self) { group in
            for number in 0..<2000 {
                group.addTask {
                    let task = Task {
                        try await turnstile.pass {
                            #expect(
                                inside.withLock { count in
                                    count += 1
                                    return count
                                } == 1)
                            passed.withLock { $0 += 1 }
                            inside.withLock { $0 -= 1 }
                            if number % 3 == 0 { throw Killed() }
                        }
                    }
                    if number % 2 == 0 { task.cancel() }
                    _ = await task.result
                }
            }
        }
        #expect(passed.withLock { $0 } >= 1000)
        #expect(try await turnstile.pass { 7 } == 7)
    }

    @Test func aTurnThatCameWithACancellationGoesToTheNext() async throws {
        for _ in 0..<200 {
            let turnstile = Turnstile()
            let (isInside, mayLeave) = (Guarded(false), Guarded(false))
            let first = Task.detached {
                try await turnstile.pass {
                    isInside.withLock { $0 = true }
                    for _ in 0..<1_000_000 { if mayLeave.withLock({ $0 }) { break } }
                }
            }
            while !isInside.withLock({ $0 }) { await Task.yield() }
            let second = Task.detached { try await turnstile.pass {} }
            for _ in 0..<20 { await Task.yield() }
            // It has left the queue of one and not yet that of the other when the turn is passed on.
            second.cancel()
            mayLeave.withLock { $0 = true }
            try await first.value
            _ = await second.result
            try await turnstile.pass {}
        }
    }

    @Test func whoComesInACancelledTaskDoesNotPass() async throws {
        let turnstile = Turnstile()
        let task = Task {
            withUnsafeCurrentTask { $0?.cancel() }
            return try await turnstile.pass { true }
        }
        await #expect(throws: CancellationError.self) { try await task.value }
        #expect(try await turnstile.pass { true })
    }
}

@Suite struct TurnstileAcrossAnAwaitTests {
    @Test func whoWaitsInsideKeepsTheRestOutAndWhoIsCancelledLeavesTheQueue() async throws {
        let turnstile = Turnstile()
        let gate = AsyncStream<Void>.makeStream()
        let inside = Guarded(false)
        let first = Task {
            try await turnstile.pass {
                inside.withLock { $0 = true }
                for await _ in gate.stream { break }
                inside.withLock { $0 = false }
            }
        }
        while !inside.withLock({ $0 }) { await Task.yield() }
        let second = Task { try await turnstile.pass { Issue.record("a cancelled one was let in") } }
        let third = Task { try await turnstile.pass { inside.withLock { $0 } } }
        for _ in 0..<100 { await Task.yield() }
        second.cancel()
        await #expect(throws: CancellationError.self) { try await second.value }
        gate.continuation.yield()
        try await first.value
        #expect(try await third.value == false)
    }
}

@Suite struct GuardedTests {
    @Test func nothingIsLostUnderTheLock() async {
        let guarded = Guarded(0)
        await withTaskGroup(of: Void.self) { group in
            for _ in 0..<16 { group.addTask { for _ in 0..<2000 { guarded.withLock { $0 += 1 } } } }
        }
        #expect(guarded.withLock { $0 } == 32_000)
    }

    @Test func aBodyThatThrowsFreesTheLock() {
        let guarded = Guarded(1)
        #expect(throws: Killed.self) { try guarded.withLock { _ in throw Killed() } }
        #expect(guarded.withLock { $0 } == 1)
    }
}
