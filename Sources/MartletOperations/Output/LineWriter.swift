import Martlet

/// Shows the lines of one operation as the settings want it.
struct LineWriter: Sendable {
    private let template: LineTemplate
    private let showsPrefix: Bool
    private let hidden: OutputParts
    private let pipeName: String?
    private let sink: OutputSink
    private let host: String
    private let command: String

    init(_ settings: Settings, host: String?, command: String = "") {
        template = settings[LineTemplateKey.self] ?? .standard
        showsPrefix = settings[DisplayPrefixKey.self] ?? true
        hidden = settings[HiddenKey.self] ?? []
        pipeName = settings[PipeNameKey.self]
        sink = settings[OutputSinkKey.self] ?? .standard
        self.host = host ?? settings[HostKey.self]?.name ?? "local"
        self.command = command
    }

    /// Whether a command's lines have to be looked at at all.
    var showsOutput: Bool { !hidden.isSuperset(of: [.output, .errors]) }

    func shows(_ part: OutputParts) -> Bool { hidden.isDisjoint(with: part) }

    func running(_ command: String) {
        guard shows(.running) else { return }
        write(.output, "run", Array(command.utf8))
    }

    func line(_ line: OutputLine) { self.line(line.pipe, line.bytes) }

    func line(_ pipe: OutputLine.Pipe, _ bytes: [UInt8]) {
        guard shows(pipe == .output ? .output : .errors) else { return }
        write(pipe, pipe == .output ? "out" : "err", bytes)
    }

    /// As it came, without the template.
    func raw(_ pipe: OutputLine.Pipe, _ bytes: [UInt8]) {
        guard shows(pipe == .output ? .output : .errors) else { return }
        sink.write(pipe, bytes)
    }

    func warn(_ message: String) { failure("Warning: ", message) }
    func fatal(_ message: String) { failure("Fatal error: ", message) }

    /// For people, about an operation and not of a command: without the template.
    private func failure(_ word: String, _ message: String) {
        guard shows(.failures) else { return }
        sink.write(.error, Array((word + message + "\n").utf8))
    }

    private func write(_ pipe: OutputLine.Pipe, _ name: String, _ bytes: [UInt8]) {
        sink.write(
            pipe,
            template.format(
                .init(
                    host: host, pipe: pipeName ?? name, command: command, line: bytes,
                    time: template.usesTime ? .now : nil),
                showsPrefix: showsPrefix))
    }
}
