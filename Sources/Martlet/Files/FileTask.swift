import CMartlet
import MartletWire

#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#endif

/// Whatever concerns files in another context: one task, so that an agent has one.
struct FileTask: RemoteTask {
    enum Operation: UInt64 {
        /// Takes a tree in.
        case receive = 0
        /// Reads one, and sends it.
        case send = 1
        /// What stands under a name.
        case status = 2
        /// Takes a tree in for contexts below, each of which gets it from here.
        case relay = 3
    }

    var channel: Channel<[UInt8]>?
    /// The operation, and what it needs.
    var request: [UInt8]

    func run(in context: RemoteContext) async throws(MartletError) -> [UInt8] {
        do { return try await perform(context) } catch let error as FileError { throw error.error(isHere: false) } catch
        {
            guard let error = error as? MartletError else {
                throw MartletError(.fileFailed, error is CancellationError ? "cancelled" : ErrorText.of(error))
            }
            throw error
        }
    }

    private func perform(_ context: RemoteContext) async throws -> [UInt8] {
        let request = try Request(request)
        var answer = PackedBytes()
        switch request.operation {
        case .status:
            let (file, number) = fileStatus(
                request.path.expandingHome, follows: request.options.contains(.followsLinks))
            if number == ENOENT || number == ENOTDIR { return [] }
            guard number == 0 else { throw FileError("read", request.path, number) }
            return try CBOREncoder().encode(FileStatus(file))
        case .receive:
            guard let channel else { throw PackedReader.damaged }
            let target = try TreeTarget(request.path, request.options, isHere: false)
            try await TreeExchange.receive(target, channel) { _ in }
            target.report.pack(into: &answer)
        case .send:
            guard let channel else { throw PackedReader.damaged }
            let source = try TreeSource(request.path, request.options)
            let failures = try await source.send(over: channel) { _ in }
            FileReport.pack(failures, into: &answer)
            answer.add(source.path)
        case .relay:
            guard let channel else { throw PackedReader.damaged }
            let relay = SyncRelay(request.targets, request.options, context.scope.runtime, context.route)
            return try await relay.run(channel)
        }
        return answer.bytes
    }

    /// What a task of this kind is asked.
    struct Request {
        var operation: Operation
        var path: [UInt8]
        var options = FileOptions()
        var targets: [SyncRelay.Target] = []

        init(_ operation: Operation, _ path: [UInt8], _ options: FileOptions) {
            (self.operation, self.path, self.options) = (operation, path, options)
        }

        var packed: [UInt8] {
            var packed = PackedBytes()
            packed.add(operation.rawValue)
            packed.add(path)
            options.pack(into: &packed)
            packed.add(targets.count)
            for target in targets {
                var address: [UInt8] = []
                address.append(addingCapacity: target.address.byteCount) { target.address.write(to: $0) }
                packed.add(address)
                packed.add(target.path)
            }
            return packed.bytes
        }

        init(_ bytes: [UInt8]) throws(MartletError) {
            var (operation, path, options, targets) = (Operation?.none, [UInt8](), FileOptions(), [SyncRelay.Target]())
            var failure: MartletError?
            bytes.withUnsafeBytes { bytes in
                var reader = PackedReader(bytes)
                do throws(MartletError) {
                    operation = Operation(rawValue: try reader.number())
                    path = try reader.string()
                    options = try FileOptions(&reader)
                    for _ in 0..<(try reader.count()) {
                        let address = try reader.part(try reader.count())
                        guard let address = ContextAddress(wire: address) else { throw PackedReader.damaged }
                        targets.append(SyncRelay.Target(address: address, path: try reader.string()))
                    }
                } catch { failure = error }
            }
            if let failure { throw failure }
            guard let operation, !path.contains(0) else { throw PackedReader.damaged }
            (self.operation, self.path, self.options, self.targets) = (operation, path, options, targets)
        }
    }
}
