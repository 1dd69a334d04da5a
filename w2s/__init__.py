"""Weak-to-Strong Generalization (Burns et al., 2023, arXiv 2312.09390), rebuilt by one command.

How one student comes about, from params.yaml to the report. Each step is a stage of dvc.yaml, a script in stages/:

1. `core.checks` reads params.yaml as `core.params`; `core.files` says where everything lies.
2. *prepare*: `data.tasks` draws a task's examples and `data.split` divides them into supervisor, student, validation
   and test, truth apart from inputs.
3. *base*: `models.checkpoints` pins a model of the Hugging Face hub, or `pretraining` makes a small one.
4. *supervise*: `settings` encodes examples and says what a model answers (classification, preference, generation);
   `training.finetune` trains the weak model, opened by `models.heads`, on truth, with the `core.hparams` of this
   task and model.
5. *label*: the supervisor predicts the student's examples, whose truth it never saw: the weak labels.
6. *student*: `methods` turns a method's parts (say bootstrapping, label cleaning, a loss) into trainings of the strong
   model on weak labels. A *ceiling* is the same on truth, a *control* the strong model without finetuning.
7. *evaluate*: `results.collect` joins the predictions in runs/ with test truth by id; `results.measure` gives accuracy
   and the performance gap recovered with intervals, `results.claims` checks the paper's claims.
8. *plot*: `report` draws the figures and writes report.html.

`pipeline` runs the stages, several at a time, and tells beforehand what they cost.
"""
