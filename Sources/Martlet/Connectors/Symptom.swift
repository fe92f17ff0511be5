/// Words of a connector's program that tell why there is no way in.
struct Symptom {
    var words: [String]
    var code: MartletError.Code
    var message: String
    var advice: String?

    init(_ words: [String], _ code: MartletError.Code, _ message: String, _ advice: String? = nil) {
        self.words = words
        self.code = code
        self.message = message
        self.advice = advice
    }

    /// The place is there, and has no `sh`.
    static func noShell(_ words: [String], _ place: String) -> Symptom {
        Symptom(words, .noShell, "there is no sh in \(place)", "Martlet needs a sh there, and nothing else")
    }

    /// The first symptom that any of the lines shows.
    static func first(of symptoms: [Symptom], in lines: [String]) -> Symptom? {
        symptoms.first { symptom in lines.contains { line in symptom.words.contains { line.mentions($0) } } }
    }

    /// What a failure means. docker writes some of its words to standard output.
    static func error(_ failure: ConnectorFailure, _ symptoms: [Symptom]) -> MartletError? {
        // As soon as the shell has reported, the program in front has done its part.
        guard failure.phase != .boot, failure.phase != .handshake else { return nil }
        return first(of: symptoms, in: failure.lines + failure.noise)?.error(failure)
    }

    func error(_ failure: ConnectorFailure) -> MartletError {
        error(phase, (failure.noise + failure.lines).suffix(20))
    }

    /// - Parameter lines: what was said.
    func error(_ phase: ConnectPhase, _ lines: some Sequence<String>) -> MartletError {
        MartletError(code, message, phase: phase, detail: lines.joined(separator: "\n"), advice: advice)
    }

    /// Where such a thing goes wrong, as a rule.
    var phase: ConnectPhase {
        switch code {
        case .noShell: .boot
        case .authenticationFailed, .hostKeyRejected: .authenticate
        default: .reach
        }
    }
}

extension Bootstrap {
    /// A command that runs the bootstrap and waits for it: for the first process of a container, which the kernel protects
    /// from the very signals that end an agent that hangs, and which has to reap what others left.
    ///
    /// - Parameter setup: shell commands to run before, each of which must succeed.
    func firstProcess(setup: [String] = []) -> [String] {
        ["sh", "-c", (setup + ["{ sh -c \"$1\";exit;}"]).joined(separator: "&&"), "martlet", script]
    }
}
