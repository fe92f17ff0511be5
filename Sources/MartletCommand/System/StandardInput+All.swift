import MartletReactor

extension StandardInput {
    /// All of it.
    ///
    /// - Throws: ``CommandFailure`` if it is more than `limit` bytes, or cannot be read.
    static func all(limit: Int) async throws -> [UInt8] {
        var bytes: [UInt8] = []
        do {
            for try await chunk in StandardInput() {
                bytes += chunk
                guard bytes.count <= limit else {
                    throw CommandFailure(
                        "standard input has more than \(Format.bytes(limit)), which is the limit when it goes to several hosts"
                    )
                }
            }
        } catch let error as SystemError {
            throw CommandFailure("\(error)", exitStatus: ExitStatus.failed)
        }
        return bytes
    }
}
