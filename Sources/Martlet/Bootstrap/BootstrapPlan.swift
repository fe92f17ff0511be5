/// The controller's side of a bootstrap: what the far side prints goes in, what to do comes out.
///
/// ```
/// looking ──miss──> choosing ──image──> probing ──ready──> sending ──start──> starting ──hello──> over
///    └────────────start (cached)──────────────────────────────────────────────^
/// looking ──alive (another runtime)──> interpreting ──hello──> over
///      probing ──want──> probing;  starting, sending, probing ──again──> probing;  any ──failed, end──> over
/// ```
/// The far side is not trusted: it can at most make the bootstrap fail, after a bounded number of attempts.
package struct BootstrapPlan: Sendable {
    package enum Action: Sendable, Hashable {
        /// Find the image for this kind of machine and call `imageChosen`.
        case chooseImage(system: String, machine: String)
        /// Write this to the far side.
        case send(String)
        /// Write `SecondStage.dataLine` and then these parts, in this order, as one stream in this encoding.
        case sendParts([Int], encoding: PartEncoding)
        /// Write the other runtime's program.
        case sendProgram
        /// The agent is there. Nothing more comes out of the plan.
        case linkUp(remaining: [UInt8])
        /// It is over: close the connection. Nothing more comes out of the plan.
        case fail(BootstrapFailure)
    }

    private enum State: Sendable {
        case looking
        case choosing(machine: String)
        case probing(ImageParts, encodings: Set<PartEncoding>)
        case sending(ImageParts, encodings: Set<PartEncoding>)
        /// What was sent is executed; nil: what the cache has.
        case starting(ImageParts?, encodings: Set<PartEncoding>)
        /// An interpreter is given its program.
        case interpreting
        case over
    }

    /// A far side that never finds its place is given up: each of a dozen places makes three reports at most.
    private static let reportLimit = 36

    /// It becomes careful when the cached image could not be executed.
    package private(set) var first: FirstStage
    /// The place that was reported last: where the agent runs from, once it runs; nil if the image was cached.
    package private(set) var ready: StageReport.Ready?
    /// Whether the far side looks for an interpreter, not for an image.
    private let runsScript: Bool
    private var state = State.looking
    private var scanner: StageScanner
    private var places: [PlaceFailure] = []
    private var reports = 0
    private var roundTrip: Duration?
    private var system = ""

    /// Begins where the caller has started `first.commandLine` at the far side, or that of a ``RuntimeScript``.
    package init(first: FirstStage, runsScript: Bool = false) {
        self.first = first
        self.runsScript = runsScript
        scanner = StageScanner(nonce: first.nonce)
    }

    /// Takes what the far side printed.
    ///
    /// - Parameter elapsed: the time since the last `send` was written, which at the second stage's `alive` is taken
    ///   for the round trip. The caller need not measure before it sent anything.
    package mutating func received(_ bytes: some Collection<UInt8>, elapsed: Duration = .zero) -> [Action] {
        if case .over = state { return [] }
        var actions: [Action] = []
        for event in scanner.receive(bytes) {
            switch event {
            case .hello(let remaining): actions.append(hello(remaining))
            case .report(let report): actions += take(report, elapsed: elapsed)
            }
            if case .over = state { return actions }
        }
        return actions
    }

    /// Answers `chooseImage`.
    ///
    /// - Parameters:
    ///   - image: nil if there is none for this kind of machine.
    ///   - encodings: those that the caller can make; `raw` always counts.
    package mutating func imageChosen(_ image: ImageParts?, encodings: Set<PartEncoding>) -> [Action] {
        guard case .choosing(let machine) = state else { return [] }
        guard let image else { return [fail(.noImage(system: system, machine: machine))] }
        state = .probing(image, encodings: encodings.union([.raw]))
        return [.send(SecondStage.line(image: image, first: first, machine: machine))]
    }

    /// The far side closed its output.
    package mutating func ended() -> [Action] {
        switch state {
        case .looking: [fail(.nothingReported)]
        case .choosing, .probing: [fail(.ended)]
        case .sending: [fail(.ended)]
        case .starting(let sent, _): [fail(sent == nil ? .cachedDidNotStart : .agentDidNotStart)]
        case .interpreting: [fail(.scriptDidNotStart)]
        case .over: []
        }
    }

    /// Whether the far side has started what its cache has, and no agent has spoken.
    package var isStartingCached: Bool { if case .starting(nil, _) = state { true } else { false } }

    /// Whether what was sent runs at the far side: it has reported something.
    package var hasReport: Bool { if case .looking = state { false } else { true } }

    /// The caller waits no longer.
    package mutating func deadlinePassed() -> [Action] {
        switch state {
        case .looking: [fail(.deadline(phase: "waiting for a shell of ours"))]
        case .choosing: [fail(.deadline(phase: "choosing an image"))]
        case .probing: [fail(.deadline(phase: "looking for a place for the image"))]
        case .sending: [fail(.deadline(phase: "sending the image"))]
        case .starting, .interpreting: [fail(.deadline(phase: "waiting for the agent"))]
        case .over: []
        }
    }

    private mutating func take(_ report: StageReport, elapsed: Duration) -> [Action] {
        switch (state, report) {
        case (.looking, .alive) where runsScript:
            state = .interpreting
            return [.sendProgram]
        case (.looking, .failed(let failures)) where runsScript:
            places = failures
            return [fail(.noInterpreter)]
        // There is no image for who did not ask for one.
        case (.looking, _) where runsScript: break
        case (.looking, .miss(let system, let machine)), (.starting(nil, _), .miss(let system, let machine)):
            if isStartingCached { first.isCareful = true }
            self.system = system
            state = .choosing(machine: machine)
            return [.chooseImage(system: system, machine: machine)]
        case (.looking, .start):
            state = .starting(nil, encodings: [])
            return []
        case (.sending(let image, let encodings), .start):
            state = .starting(image, encodings: encodings)
            return []
        case (.probing, .alive):
            // A stage that starts again after an interpreter failed did not answer to anything that was sent.
            if roundTrip == nil { roundTrip = elapsed }
            return []
        case (.probing, .want(let place)):
            guard let interpreter = MemfdStage.Interpreter(place: place), isWithinLimit() else { break }
            return [.send(MemfdStage.line(interpreter))]
        case (.probing(let image, let encodings), .ready(let ready)):
            guard ready.missing.allSatisfy(image.parts.indices.contains), isWithinLimit() else { break }
            state = .sending(image, encodings: encodings)
            self.ready = ready
            let encoding = PartEncoding.choose(
                roundTrip: roundTrip ?? elapsed, here: encodings, there: ready.encodings)
            return [.sendParts(ready.missing, encoding: encoding)]
        case (.probing(let image, let encodings), .again(let failure)),
            (.sending(let image, let encodings), .again(let failure)),
            (.starting(let image?, let encodings), .again(let failure)):
            guard isWithinLimit() else { break }
            places.append(failure)
            state = .probing(image, encodings: encodings)
            return []
        case (.probing, .failed(let failures)), (.sending, .failed(let failures)),
            (.starting(_?, _), .failed(let failures)):
            places = failures
            return [fail(.noPlace)]
        case (.sending, .lost(let failure)):
            places.append(failure)
            return [fail(.lost)]
        default: break
        }
        return [fail(.unexpectedReport(report))]
    }

    private mutating func isWithinLimit() -> Bool {
        reports += 1
        return reports <= Self.reportLimit
    }

    private mutating func hello(_ remaining: [UInt8]) -> Action {
        switch state {
        case .looking, .sending, .starting, .interpreting:
            state = .over
            return .linkUp(remaining: remaining)
        // No agent can have started: nothing was sent.
        case .choosing, .probing, .over: return fail(.ended)
        }
    }

    private mutating func fail(_ kind: BootstrapFailure.Kind) -> Action {
        state = .over
        return .fail(BootstrapFailure(kind: kind, places: places, noise: scanner.noise))
    }
}
