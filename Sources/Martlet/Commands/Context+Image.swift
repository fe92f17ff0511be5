import MartletWire

extension Context {
    /// Sends a program, unless the context has it, starts it, and joins it with a channel until it has ended. The channel is
    /// still open then, unless the program has closed it: its end is the caller's to say.
    ///
    /// - Parameters:
    ///   - name: what it is called, in its arguments and in errors.
    ///   - options: all but the input.
    ///   - channel: this context's end; what it is to send is the other's.
    ///   - onLine: gets the lines that it prints; `nil`: they are the context's output. While it waits, so does the program.
    /// - Throws: as ``run(_:options:onLine:)``.
    package func run<Outgoing, Incoming>(
        image: ProgramImage, name: String, arguments: [String], options: CommandOptions,
        channel: ChannelEnd<Outgoing, Incoming>, onLine: (@Sendable (OutputLine) async throws -> Void)?
    ) async throws -> ImageResult {
        let run = ImageRun(self, image, name, channel.handle, onLine)
        return try await run.result(arguments, options)
    }

    /// A line that a program of this context printed, which was read by its caller.
    func printed(_ line: OutputLine) {
        if let outputs = runtime.outputs, let child = runtime.node.address.childNumber(towards: address) {
            for message in OutputForwarder.messages(line.pipe, address, line.bytes) {
                message.withUnsafeBytes { outputs.add($0, isData: false, nil, from: child, runtime) }
            }
        } else {
            runtime.outputForwarder?.send(line.pipe, address, line.bytes, mayDrop: true)
        }
    }
}

extension ChannelEnd {
    /// Waits for the next item, whatever it is: its CBOR. `nil` at the end.
    ///
    /// - Throws: as ``receive(timeout:)``.
    package nonisolated(nonsending) func receiveEncoded() async throws -> [UInt8]? {
        guard case .encoded(let bytes)? = try await handle.read(nil, asContent: false) else { return nil }
        return Array(bytes)
    }
}
