import MartletReactor
import Synchronization

#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#endif

/// An executable that was sent to this context: a file without a name, gone when nobody holds it.
final class SentImage: Sendable {
    /// What it is executed by.
    let descriptor: Int32
    let byteCount: Int
    /// How many of the places were tried before.
    private let place: Int

    private init(_ descriptor: Int32, _ byteCount: Int, place: Int) {
        self.descriptor = descriptor
        self.byteCount = byteCount
        self.place = place
    }

    deinit { closeDescriptor(descriptor) }

    /// Leads to it where only a path will do.
    var path: String { "/proc/self/fd/\(descriptor)" }

    /// Memory, and then where an image may be kept: see ``ImagePolicy``.
    private static func places(_ policy: ImagePolicy) -> [String?] {
        let environment = ProcessEnvironment.current
        let folders = policy.places.compactMap { place -> String? in
            // What may lie on a disk.
            if policy == .memory, place == "/tmp" || place == "TMPDIR" { return nil }
            let folder = place.hasPrefix("/") ? place : environment[place]
            return folder?.hasPrefix("/") == true ? folder : nil
        }
        return [nil] + folders
    }

    /// Makes a file in the first place that takes one, and gives it to `fill`, which writes it.
    ///
    /// - Throws: ``SystemError`` of the last place.
    static func make(
        _ byteCount: Int, _ policy: ImagePolicy, from first: Int = 0, _ fill: (Pipe) throws(SystemError) -> Void
    ) throws(SystemError) -> SentImage {
        var error = SystemError(ENOSPC, "find a place for what was sent")
        for (place, folder) in places(policy).enumerated().dropFirst(first) {
            do throws(SystemError) {
                let file = try Pipe.executableFile(in: folder)
                // From here on its descriptor has an owner.
                let image = SentImage(file.readEnd, byteCount, place: place)
                do throws(SystemError) { try fill(file) } catch {
                    closeDescriptor(file.writeEnd)
                    throw error
                }
                return image
            } catch let failure { error = failure }
        }
        throw error
    }

    /// A copy in the next place; `nil` if there is none.
    func moved(_ policy: ImagePolicy) -> SentImage? {
        try? Self.make(byteCount, policy, from: place + 1) { file throws(SystemError) in
            var offset = 0
            while offset < byteCount {
                let count = sendfile(file.writeEnd, descriptor, &offset, byteCount - offset)
                if count < 0, errno == EINTR { continue }
                guard count > 0 else { throw SystemError(count < 0 ? errno : EIO, "copy what was sent") }
            }
            closeDescriptor(file.writeEnd)
        }
    }
}

/// The executables that a context was sent last.
final class SentImages: Sendable {
    private static let countLimit = 8
    /// In bytes, of all.
    static let limit = 256 * 1024 * 1024

    /// The one that was used last is the last.
    private let images = Mutex<[(id: String, image: SentImage)]>([])

    func find(_ id: String) -> SentImage? {
        images.withLock { images in
            guard let index = images.firstIndex(where: { $0.id == id }) else { return nil }
            let entry = images.remove(at: index)
            images.append(entry)
            return entry.image
        }
    }

    func keep(_ image: SentImage, _ id: String) {
        images.withLock { images in
            images.removeAll { $0.id == id }
            images.append((id, image))
            while images.count > Self.countLimit || images.reduce(0, { $0 + $1.image.byteCount }) > Self.limit {
                images.removeFirst()
            }
        }
    }
}
