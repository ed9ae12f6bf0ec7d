;;; dgemma.el --- Completions of a diffusion language model, shown as ghost text  -*- lexical-binding: t -*-

;; Package-Requires: ((emacs "28.1") (eglot "1.9"))

;;; Commentary:

;; eglot keeps the server in step with the buffer; this asks it for textDocument/inlineCompletion and shows the answer in an
;; overlay behind point.  TAB takes it, M-<right> a word of it, M-<down> a line, M-\ asks by hand, C-g drops it.

;;; Code:

(require 'eglot)

(defgroup dgemma nil "Completions of a diffusion language model." :group 'tools)

(defcustom dgemma-command '("dgemma-lsp") "How the server is started." :type '(repeat string))

(defcustom dgemma-settings nil
  "Settings for the server: a property list, as (:model \"embedded\" :debounceLeast 100)." :type 'plist)

(defcustom dgemma-auto t "Whether to ask while typing." :type 'boolean)

(defclass dgemma-server (eglot-lsp-server) () "dgemma-lsp.")

(cl-defmethod eglot-client-capabilities :around ((_server dgemma-server))
  "Say that we show inline completions."
  (let* ((capabilities (cl-call-next-method))
         (text (plist-get capabilities :textDocument)))
    (plist-put capabilities :textDocument
               (plist-put text :inlineCompletion '(:dynamicRegistration :json-false)))))

(cl-defmethod eglot-initialization-options ((_server dgemma-server))
  "Our settings."
  (or dgemma-settings (make-hash-table)))

(defvar-local dgemma--overlay nil)
(defvar-local dgemma--start nil "Where the suggestion begins: a marker.")
(defvar-local dgemma--text nil "The whole suggestion.")
(defvar-local dgemma--asked 0 "Counts requests, so that late answers are known.")

(defun dgemma--rest ()
  "What of the suggestion is still to come behind point; nil if something else was typed."
  (when (and dgemma--text (>= (point) dgemma--start))
    (let ((typed (buffer-substring-no-properties dgemma--start (point))))
      (and (< (length typed) (length dgemma--text))
           (string-prefix-p typed dgemma--text)
           (substring dgemma--text (length typed))))))

(defun dgemma-dismiss ()
  "Drop the suggestion."
  (interactive)
  (when dgemma--overlay (delete-overlay dgemma--overlay))
  (setq dgemma--overlay nil dgemma--text nil))

(defun dgemma--draw ()
  "Show what is to come, or nothing."
  (let ((rest (dgemma--rest)))
    (if (not rest)
        (dgemma-dismiss)
      (unless dgemma--overlay (setq dgemma--overlay (make-overlay (point) (point))))
      (move-overlay dgemma--overlay (point) (point))
      (overlay-put dgemma--overlay 'after-string (propertize rest 'face 'shadow 'cursor t))
      rest)))

(defun dgemma-ask (&optional automatic)
  "Ask for a suggestion at point; AUTOMATIC, the server waits for more typing first."
  (interactive)
  (let* ((server (eglot-current-server))
         (buffer (current-buffer))
         (number (cl-incf dgemma--asked))
         (tick (buffer-chars-modified-tick)))
    (when (cl-typep server 'dgemma-server)
      (eglot--signal-textDocument/didChange)
      (jsonrpc-async-request
       server :textDocument/inlineCompletion
       (append (eglot--TextDocumentPositionParams) (list :context (list :triggerKind (if automatic 2 1))))
       :error-fn #'ignore
       :success-fn
       (lambda (answer)
         (when (buffer-live-p buffer)
           (with-current-buffer buffer
             (let ((items (plist-get answer :items)))
               (when (and (= number dgemma--asked) (= tick (buffer-chars-modified-tick)) (> (length items) 0))
                 (dgemma--show (elt items 0)))))))))))

(defun dgemma--show (item)
  "Show ITEM of an answer."
  (dgemma-dismiss)
  (let ((start (plist-get (plist-get item :range) :start)))
    (setq dgemma--text (plist-get item :insertText)
          dgemma--start (copy-marker (if start (eglot--lsp-position-to-point start) (point))))
    (dgemma--draw)))

(defun dgemma-accept (&optional pattern)
  "Take the suggestion, or as much of it as PATTERN matches."
  (interactive)
  (let ((rest (dgemma--rest)))
    (when rest
      (undo-boundary)
      (insert (if (and pattern (string-match pattern rest)) (match-string 0 rest) rest))
      (undo-boundary)
      (unless (dgemma--draw)
        (dgemma-run "accepted" (eglot--path-to-uri buffer-file-name))))))

(defun dgemma-accept-word () "Take a word of it." (interactive) (dgemma-accept "\\`[ \t\n]*\\(?:[[:alnum:]_]+\\|.\\)"))

(defun dgemma-accept-line () "Take a line of it." (interactive) (dgemma-accept "\\`\n?[^\n]*"))

(defun dgemma-run (name &rest arguments)
  "Have the server run its command NAME with ARGUMENTS, and return what it says."
  (jsonrpc-request (eglot-current-server) :workspace/executeCommand
                   (list :command (concat "dgemma." name) :arguments (apply #'vector arguments))
                   :timeout 120))

(defun dgemma-fill-region (start end)
  "Write something else in place of the region from START to END."
  (interactive "r")
  (dgemma-run "fillSelection" (eglot--path-to-uri buffer-file-name)
              (list :start (eglot--pos-to-lsp-position start) :end (eglot--pos-to-lsp-position end))))

(defun dgemma-fill-todos ()
  "Write something in place of every TODO."
  (interactive)
  (dgemma-run "fillTodos" (eglot--path-to-uri buffer-file-name)))

(defun dgemma-generate-json ()
  "Write JSON for the schema that this buffer names."
  (interactive)
  (dgemma-run "generateJson" (eglot--path-to-uri buffer-file-name)))

(defun dgemma-switch-model (name)
  "Go on with the model NAME."
  (interactive "sModel: ")
  (dgemma-run "switchModel" name))

(defun dgemma-statistics ()
  "Show what was counted in this session."
  (interactive)
  (message "%S" (dgemma-run "statistics")))

(defun dgemma--typed ()
  "After a command: keep what is shown in step, and ask for more."
  (unless (or (dgemma--draw) (not dgemma-auto) (not (eq this-command 'self-insert-command)))
    (dgemma-ask t)))

(defun dgemma--if-shown (command)
  "A binding of COMMAND that counts only while something is shown."
  `(menu-item "" ,command :filter ,(lambda (it) (and (dgemma--rest) it))))

(defvar dgemma-mode-map
  (let ((map (make-sparse-keymap)))
    (define-key map (kbd "TAB") (dgemma--if-shown #'dgemma-accept))
    (define-key map (kbd "M-<right>") (dgemma--if-shown #'dgemma-accept-word))
    (define-key map (kbd "M-<down>") (dgemma--if-shown #'dgemma-accept-line))
    (define-key map (kbd "C-g") (dgemma--if-shown #'dgemma-dismiss))
    (define-key map (kbd "M-\\") #'dgemma-ask)
    map))

;;;###autoload
(define-minor-mode dgemma-mode
  "Show what dgemma-lsp suggests behind point."
  :lighter " dgemma"
  (if dgemma-mode
      (add-hook 'post-command-hook #'dgemma--typed nil t)
    (remove-hook 'post-command-hook #'dgemma--typed t)
    (dgemma-dismiss)))

;;;###autoload
(defun dgemma-start ()
  "Start the server for this buffer's project and mode, and show what it suggests."
  (interactive)
  (eglot (list major-mode) (or (project-current) `(transient . ,default-directory)) 'dgemma-server
         dgemma-command "")
  (dgemma-mode 1))

(provide 'dgemma)
;;; dgemma.el ends here
