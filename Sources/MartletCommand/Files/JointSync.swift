import Martlet
import Synchronization

/// One sync for hosts that are reached the same way, so that what is copied crosses it once: whoever is connected waits until
/// nobody else comes.
final class JointSync: Sendable {
    typealias OnProgress = @Sendable (TransferProgress) -> Void

    private struct Member {
        var target: SyncTarget
        var onProgress: OnProgress
        var continuation: CheckedContinuation<Turn, any Error>
    }

    private enum Turn: Sendable {
        /// It does the work for all of these, of which it is the first.
        case leads(Round)
        case ended(SyncOutcome)
    }

    /// Those that go together.
    private final class Round: Sendable {
        let targets: [SyncTarget]
        let onProgress: [OnProgress]
        /// Who waits for what comes of it; `nil` who knows, or leads.
        private let waiting: Mutex<[CheckedContinuation<Turn, any Error>?]>

        init(_ members: [Member]) {
            (targets, onProgress) = (members.map(\.target), members.map(\.onProgress))
            waiting = Mutex([nil] + members.dropFirst().map(\.continuation))
        }

        func end(_ number: Int, _ result: Result<Turn, any Error>) {
            waiting.withLock { waiting in
                defer { waiting[number] = nil }
                return waiting[number]
            }?.resume(with: result)
        }
    }

    private struct State {
        /// How many hosts are not done with.
        var left: Int
        var members: [Int: Member] = [:]
    }

    private let source: SyncSource
    private let options: SyncOptions
    private let limit: Int
    private let state: Mutex<State>

    /// - Parameters:
    ///   - options: those with which the source was made.
    ///   - limit: how many hosts there are at once.
    init(_ source: SyncSource, _ options: SyncOptions, hosts: Int, limit: Int) {
        (self.source, self.options, self.limit) = (source, options, limit)
        state = Mutex(State(left: hosts))
    }

    /// Makes the folder of a host, with those of all others.
    ///
    /// - Parameter host: its number.
    func sync(_ host: Int, _ target: SyncTarget, onProgress: @escaping OnProgress) async throws -> SyncOutcome {
        let turn = try await withTaskCancellationHandler {
            try await withCheckedThrowingContinuation { continuation in
                let member = Member(target: target, onProgress: onProgress, continuation: continuation)
                goOn { $0.members[host] = member }
                // It may have been cancelled before it was there.
                if Task.isCancelled { leave(host) }
            }
        } onCancel: {
            leave(host)
        }
        switch turn {
        case .ended(let outcome): return outcome
        case .leads(let round): return try await lead(round)
        }
    }

    /// A host is done with, whether its folder was made or not.
    func ended() { goOn { $0.left -= 1 } }

    private func leave(_ host: Int) {
        state.withLock { $0.members.removeValue(forKey: host) }?.continuation.resume(throwing: CancellationError())
    }

    /// Begins, unless somebody may still come.
    private func goOn(_ change: (inout State) -> Void) {
        let members = state.withLock { state -> [Member] in
            change(&state)
            guard state.members.count >= min(limit, state.left) else { return [] }
            defer { state.members = [:] }
            return state.members.sorted { $0.key < $1.key }.map(\.value)
        }
        if let first = members.first { first.continuation.resume(returning: .leads(Round(members))) }
    }

    private func lead(_ round: Round) async throws -> SyncOutcome {
        do {
            let outcomes = try await source.sync(to: round.targets, options: options) { number, progress in
                round.onProgress[number](progress)
            } onFinish: { number, outcome in
                round.end(number, .success(.ended(outcome)))
            }
            return outcomes[0]
        } catch {
            for number in round.targets.indices { round.end(number, .failure(error)) }
            throw error
        }
    }
}
